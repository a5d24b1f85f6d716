/** The forwarding engine of the userspace backend as a process: `node proxy.js THREADS`. */
import { createForwarder } from '../../src/backends/userspace/forward/create-forwarder.ts'
import { changeOf, listenerSpec, never, serverSpec, target } from '../../test/support/forwarding.ts'
import { backendsOf } from './haproxy.ts'
import { ports } from './ports.ts'

const forwarder = createForwarder({ threads: Number(process.argv[2] ?? 1) })
const names = ['web', 'bulk', 'idle'] as const
const servers = names.map((id) =>
  serverSpec(
    backendsOf(id).map((port) => target(port)),
    { id },
  ),
)
const listeners = names.map((id) => listenerSpec({ id, server: id, port: ports.weir[id] }))
for (const { error } of await forwarder.apply(changeOf(servers, listeners), never)) if (error !== undefined) throw error
process.stdout.write('ready\n')

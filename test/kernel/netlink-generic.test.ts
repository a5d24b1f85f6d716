import t from 'tap'
import { Connection } from '../../src/kernel/netlink/connection.ts'
import { protocols } from '../../src/kernel/netlink/constants.ts'
import {
  GENL_CMD_CAP_DO,
  GENL_CMD_CAP_DUMP,
  GenericFamilies,
  genericAttributes,
  genericCommand,
  genericRequest,
} from '../../src/kernel/netlink/generic.ts'
import { openTransport } from '../../src/kernel/netlink/transport.ts'
import { ownNamespace } from '../support/namespace.ts'

ownNamespace(import.meta.url)

const { signal } = new AbortController()
const open = (t: Pick<typeof import('tap').default, 'teardown'>): { connection: Connection; sends: () => number } => {
  const transport = openTransport({ protocol: protocols.generic })
  let sends = 0
  const counting = {
    portId: transport.portId,
    send: (bytes: Uint8Array) => {
      sends++
      transport.send(bytes)
    },
    sendAsync: transport.sendAsync.bind(transport),
    receive: transport.receive.bind(transport),
    join: transport.join.bind(transport),
    leave: transport.leave.bind(transport),
    close: transport.close.bind(transport),
  }
  t.teardown(() => transport.close())
  return { connection: new Connection(counting), sends: () => sends }
}

// The controller describes itself as any other family: linux/genetlink.h says what it is.
t.test('a family by name, asked for once', async (t) => {
  const { connection, sends } = open(t)
  const families = new GenericFamilies(connection)
  const family = families.find('nlctrl', signal)
  t.match(family, { name: 'nlctrl', id: 16, version: 2, headerSize: 0 })
  t.equal((family.operations.get(3) ?? 0) & (GENL_CMD_CAP_DO | GENL_CMD_CAP_DUMP), GENL_CMD_CAP_DO | GENL_CMD_CAP_DUMP)
  t.equal(family.groups.get('notify'), 16)
  t.equal(families.find('nlctrl', signal), family)
  t.equal(sends(), 1)
  families.forget('nlctrl')
  t.same(families.find('nlctrl', signal), family)
  t.equal(sends(), 2)
})

t.test('a family that the kernel lacks', async (t) => {
  const families = new GenericFamilies(open(t).connection)
  t.throws(() => families.find('no-such-thing', signal), {
    code: 'notFound',
    op: 'find generic netlink family no-such-thing',
  })
})

t.test('requests of a family carry its header', async (t) => {
  const { connection } = open(t)
  const family = new GenericFamilies(connection).find('nlctrl', signal)
  const ask = genericRequest(family, 'ask again', 3, (writer) => writer.u16host(1, family.id))
  const seen: unknown[] = []
  connection.request(ask, signal, (message) => {
    const attributes = genericAttributes(message, family)
    while (attributes.next()) if (attributes.type === 2) seen.push([genericCommand(message), attributes.string()])
  })
  t.same(seen, [[1, 'nlctrl']])
  // The kernel's words about an attribute of the wrong width, and where it is.
  const wrong = genericRequest(family, 'ask wrongly', 3, (writer) => writer.u8(1, 1))
  t.throws(() => connection.request(wrong, signal), { code: 'invalid', offset: 20, detail: /./ })
})

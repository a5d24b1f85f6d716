/** The program in mode userspace forgets the UDP flows of a Service that it deleted, and makes no fuss. */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { ownNamespace } from '../support/namespace.ts'
import { Scene } from '../support/scene.ts'
import { node, service, slice, writeManifests } from './cli-manifests.ts'
import { eventually, sh, startWeir, temporaryFolder } from './cli-program.ts'

ownNamespace(import.meta.url)

const dns = { protocol: 'UDP', address: '10.96.0.53', port: 53, sourcePort: 42_001, timeoutMs: 100 } as const
const pod = '10.244.0.2'

const scene = await Scene.create()
t.teardown(() => scene.close())
const client = await scene.addHost('client', { ipv4: '198.51.100.7' })
await (await scene.addHost('pod', { ipv4: pod })).listen('UDP', 5353)
sh('ip route add 10.96.0.0/16 dev eth0')

const folder = temporaryFolder()
const writeService = (): void =>
  writeManifests(folder, 'dns.yaml', [
    service('dns', { ip: dns.address, port: 53, protocol: 'UDP' }),
    slice('dns', [pod], { port: 5353, protocol: 'UDP' }),
  ])
const kind = async (): Promise<string> => (await client.ask(dns)).kind
const elements = (): string => sh('nft list map ip weir-userspace services')

t.test('a client that does not pause is served again', async (t) => {
  writeManifests(folder, 'node.yaml', [node('here', { addresses: ['192.0.2.10'] })])
  writeService()
  const weir = startWeir(t, ['--proxy-mode=userspace', '--manifests', folder, '--hostname-override=here', '-v=4'])
  await weir.serving()
  await eventually(kind, (is) => is === 'answered')
  rmSync(join(folder, 'dns.yaml'))
  await eventually(elements, (text) => !text.includes(dns.address))
  await eventually(kind, (is) => is === 'refused')
  writeService()
  await eventually(elements, (text) => text.includes(dns.address))
  await eventually(kind, (is) => is === 'answered', 1_000)
  t.same(weir.lines(/stay in conntrack/), [])
  t.equal((await weir.end()).status, 0)
})

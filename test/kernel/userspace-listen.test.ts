/** The program in mode userspace as a user without any privilege. */

import { chmodSync } from 'node:fs'
import { createServer } from 'node:net'
import t from 'tap'
import { ownNamespace } from '../support/namespace.ts'
import { Scene } from '../support/scene.ts'
import { node, service, slice, writeManifests } from './cli-manifests.ts'
import { eventually, runWeir, sh, startWeir, temporaryFolder } from './cli-program.ts'

ownNamespace(import.meta.url)

const nodeIP = '192.0.2.10'
const pods = ['10.244.0.2', '10.244.1.2']

const scene = await Scene.create()
t.teardown(() => scene.close())
const client = await scene.addHost('client', { ipv4: '198.51.100.7' })
for (const [i, ipv4] of pods.entries()) {
  const pod = await scene.addHost(`pod-${i}`, { ipv4 })
  await pod.listen('TCP', 8080)
  await pod.listen('UDP', 5353)
}

const folder = temporaryFolder()
chmodSync(folder, 0o755)
const on = (address: string, nodeName: string) => ({ addresses: [address], conditions: { ready: true }, nodeName })
const [here = '', elsewhere = ''] = pods
const local = { externalTrafficPolicy: 'Local' }
const web = [service('web', { ip: '10.96.0.10', nodePort: 30080 }), slice('web', pods)]
writeManifests(folder, 'web.yaml', web)
writeManifests(folder, 'others.yaml', [
  node('here', { addresses: [nodeIP] }),
  service('dns', { ip: '10.96.0.53', port: 53, protocol: 'UDP', nodePort: 30053 }),
  slice('dns', pods, { port: 5353, protocol: 'UDP' }),
  service('local', { ip: '10.96.0.12', nodePort: 30082, spec: local }),
  slice('local', [on(here, 'here'), on(elsewhere, 'there')]),
  service('taken', { ip: '10.96.0.13', nodePort: 30083 }),
  slice('taken', pods),
  service('signal', { ip: '10.96.0.14', protocol: 'SCTP' }),
])
const flags = ['--proxy-mode=userspace', '--manifests', folder, '--hostname-override=here']
const nobody = { through: ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--no-new-privs'] }
const start = (t: Parameters<typeof startWeir>[0], more: readonly string[] = []) =>
  startWeir(t, [...flags, ...more], nobody)

interface Status {
  readonly reach: string
  readonly servicePorts: readonly {
    readonly name: string
    readonly family: string
    readonly sockets: readonly { readonly address: string; readonly port?: number; readonly error?: string }[]
  }[]
}

const status = async (): Promise<Status> => JSON.parse((await runWeir(['status', '--json'], nobody)).stdout)
const socketsOf = async (name: string) =>
  (await status()).servicePorts.find((port) => port.name === name)?.sockets ?? []
const loopbackPort = async (name: string): Promise<number> =>
  (await socketsOf(name)).find(({ address, port }) => address === '127.0.0.1' && port !== undefined && port < 30_000)
    ?.port ?? 0

/** Who answers, over several connections. */
const names = async (from: typeof client, address: string, port: number, protocol: 'TCP' | 'UDP' = 'TCP') => {
  const outcomes = await from.connect({ protocol, address, port, count: 30, timeoutMs: 2000 })
  return [...new Set(outcomes.map((outcome) => (outcome.kind === 'answered' ? outcome.name : outcome.kind)))].sort()
}

t.test('listens on NodePorts and on a loopback port for each cluster IP', async (t) => {
  const squatter = createServer().listen({ host: '0.0.0.0', port: 30083 })
  t.teardown(() => squatter.close())
  const weir = start(t)
  await weir.serving()
  await weir.says(/A service port is served.*default\/web:main/)
  t.match(weir.log, /Traffic cannot be redirected: .*CAP_NET_ADMIN is needed. Listening instead on NodePorts/)
  t.equal((await status()).reach, 'listen')
  const port = await loopbackPort('default/web:main')
  t.ok(port >= 20_000 && port <= 29_999, `port ${port}`)
  t.match(weir.log, new RegExp(`for="10\\.96\\.0\\.10:80" address="127\\.0\\.0\\.1:${port}"`))
  t.same(await names(scene.node, '127.0.0.1', port), ['pod-0', 'pod-1'])
  t.same(await names(scene.node, '127.0.0.1', 30080), ['pod-0', 'pod-1'])
  t.same(await names(client, nodeIP, 30080), ['pod-0', 'pod-1'])
  t.same(await names(client, nodeIP, 30053, 'UDP'), ['pod-0', 'pod-1'])
  t.same(await names(scene.node, '127.0.0.1', 30053, 'UDP'), ['pod-0', 'pod-1'])
  t.equal((await client.ask({ address: nodeIP, port, timeoutMs: 500 })).kind, 'refused', 'loopback is for the node')

  await t.test('externalTrafficPolicy Local tells the node from others by their addresses', async (t) => {
    t.same(await names(client, nodeIP, 30082), ['pod-0'])
    t.same(await names(scene.node, '127.0.0.1', 30082), ['pod-0', 'pod-1'])
    t.same(await names(scene.node, nodeIP, 30082), ['pod-0', 'pod-1'])
  })

  await t.test('a port that is taken is reported, and served once it is free', async (t) => {
    t.match(weir.log, /port main \(TCP\): .*0\.0\.0\.0 port 30083.*Service default\/taken/)
    t.ok((await socketsOf('default/taken:main')).some(({ error }) => error !== undefined))
    t.same(await names(scene.node, '127.0.0.1', await loopbackPort('default/taken:main')), ['pod-0', 'pod-1'])
    squatter.close()
    await eventually(
      () => client.ask({ address: nodeIP, port: 30083, timeoutMs: 300 }),
      ({ kind }) => kind === 'answered',
    )
    t.match(weir.log, /NodePort 30083/)
  })

  await t.test('without endpoints nobody listens', async () => {
    writeManifests(folder, 'web.yaml', web.slice(0, 1))
    await eventually(
      () => client.ask({ address: nodeIP, port: 30080, timeoutMs: 300 }),
      ({ kind }) => kind === 'refused',
    )
    await eventually(
      () => scene.node.ask({ address: '127.0.0.1', port, timeoutMs: 300 }),
      ({ kind }) => kind === 'refused',
    )
    writeManifests(folder, 'web.yaml', web)
    await eventually(
      () => scene.node.ask({ address: '127.0.0.1', port, timeoutMs: 300 }),
      ({ kind }) => kind === 'answered',
    )
  })

  t.match(weir.log, /cannot do SCTP.*Service default\/signal/)
  t.equal(sh('nft list ruleset'), '', 'nothing was written to the kernel')
  t.equal((await weir.end()).status, 0)

  await t.test('ports are the same after a restart, and the next ones where they are taken', async (t) => {
    const occupant = createServer().listen({ host: '127.0.0.1', port })
    const second = start(t)
    await second.says(/A service port is served.*default\/web:main/)
    t.equal(await loopbackPort('default/web:main'), port + 1)
    await second.end()
    occupant.close()
    const third = start(t)
    await third.says(/A service port is served.*default\/web:main/)
    t.equal(await loopbackPort('default/web:main'), port)
    await third.end()
  })
})

t.test('several threads do the same', async (t) => {
  const weir = start(t, ['--userspace-threads=2'])
  await weir.says(/A service port is served.*default\/web:main.*NodePort/)
  t.same(await names(client, nodeIP, 30080), ['pod-0', 'pod-1'])
  t.equal((await weir.end()).status, 0)
})

t.test('weir status without a weir, and beside another mode', async (t) => {
  const none = await runWeir(['status'], nobody)
  t.equal(none.status, 1)
  t.match(none.stderr, /no weir answers at http:\/\/127\.0\.0\.1:10249/)
  const weir = startWeir(t, ['--proxy-mode=nftables', ...flags.slice(1)])
  await weir.says(/Metrics server listens/)
  t.match((await runWeir(['status'], nobody)).stdout, /^mode nftables: the kernel forwards/)
  t.same(JSON.parse((await runWeir(['status', '--json'], nobody)).stdout), { mode: 'nftables' })
})

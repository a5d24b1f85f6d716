/** The whole program in mode userspace: how it ends, how it comes back, and what it does with endpoints that die. */
import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { UserspaceStatus } from '../../src/backends/userspace/status.ts'
import { Stage } from '../compliance/stage.ts'
import { withNode } from '../compliance/with-node.ts'
import { ipv4, nets, nodeName, type PodName, port } from '../flows/net.ts'
import { endpoint, exposed, type Manifest, slice } from '../flows/objects.ts'
import { ownNamespace } from '../support/namespace.ts'
import { Stream, type StreamOptions, startStreamServer } from '../support/streams.ts'
import { eventually, runWeir, sh, startWeir, temporaryFolder } from './cli-program.ts'

ownNamespace(import.meta.url)

const stage = await Stage.create(['TCP'])
t.teardown(() => stage.close())
const folder = temporaryFolder()

const web = (name: string, n: number, pods: readonly PodName[], podPort: number): readonly Manifest[] => [
  exposed(ipv4, 'TCP', {
    name,
    annotations: { 'weir.dev/scheduler': 'rr' },
    port: { nodePort: 30_090 + n },
    spec: { clusterIP: ipv4.clusterIP(n), clusterIPs: [ipv4.clusterIP(n)], externalIPs: [] },
    ingress: [],
  }),
  slice(
    ipv4,
    'TCP',
    pods.map((pod) => endpoint(ipv4, pod)),
    { service: name, ports: [{ name: '', protocol: 'TCP', port: podPort }] },
  ),
]

const serve = (objects: readonly Manifest[]): void => {
  writeFileSync(join(folder, 'next'), JSON.stringify({ apiVersion: 'v1', kind: 'List', items: withNode(objects) }))
  renameSync(join(folder, 'next'), join(folder, 'cluster.json'))
}

const start = async (t: Test) => {
  const weir = startWeir(t, [
    ...['run', '--manifests', folder, '--hostname-override', nodeName, '--proxy-mode', 'userspace'],
    ...['--cluster-cidr', nets.map(({ clusterCidr }) => clusterCidr).join(',')],
  ])
  return weir.serving()
}

const ask = async (n: number): Promise<string> => {
  const outcome = await stage.host('client').ask({ address: ipv4.clusterIP(n), port, timeoutMs: 5_000 })
  return outcome.kind === 'answered' ? outcome.name : outcome.kind
}
const comes = (n: number, wanted: string): Promise<string> =>
  eventually(
    () => ask(n),
    (seen) => seen === wanted,
  )

const stream = async (t: Test, pod: PodName, options: StreamOptions) => {
  const server = await startStreamServer(pod, options)
  t.teardown(() => server.kill('SIGKILL'))
  return server
}

const status = async (): Promise<UserspaceStatus> =>
  JSON.parse((await runWeir(['status', '--json'])).stdout) as UserspaceStatus

/** What the cluster IPs lead to, as nft prints it. */
const sockets = (): readonly string[] =>
  [...sh('nft list map ip weir-userspace services').matchAll(/(\S+) \. tcp \. \S+ : (\S+ \. \d+)/g)]
    .map(([, from, to]) => `${from} ${to}`)
    .sort()

t.test('SIGTERM: a transfer goes on to its end, nobody new is served, then the process ends', async (t) => {
  const longest = { port: 9_000, chunks: 30, pauseMs: 100 }
  await stream(t, 'pod-1', longest)
  serve([...web('streams', 1, ['pod-1'], 9_000), ...web('web', 2, ['pod-2'], 8080)])
  const weir = await start(t)
  await comes(2, 'pod-2')
  const transfer = new Stream(ipv4.clusterIP(1), port)
  await transfer.begun
  weir.signal('SIGTERM')
  await comes(2, 'refused')
  let over = false
  void weir.ended.then(() => {
    over = true
  })
  t.notOk(over, 'it waits')
  t.equal(await transfer.ended, '30 chunks')
  t.equal((await weir.ended).status, 0)
  t.match(weir.log, /Waiting for connections to end/)
  t.equal(await ask(2), 'refused', 'the table leads to nobody')
})

t.test('SIGKILL: what is left is taken over, with the same sockets', async (t) => {
  serve([...web('web', 2, ['pod-2'], 8080), ...web('other', 3, ['pod-1'], 8080)])
  const killed = await start(t)
  await comes(2, 'pod-2')
  await comes(3, 'pod-1')
  const before = sockets()
  t.equal(before.length, 2)
  await killed.end('SIGKILL')
  t.same(sockets(), before, 'the table stays')
  t.equal(await ask(2), 'refused')
  const weir = await start(t)
  await comes(2, 'pod-2')
  t.equal(await ask(3), 'pod-1')
  t.same(sockets(), before)
  t.equal((await weir.end()).status, 0)
})

t.test('an endpoint that dies takes its own connections along and nothing else', async (t) => {
  const endless = { port: 9_000, chunks: 600, pauseMs: 50 }
  const dying = await stream(t, 'pod-1', endless)
  await stream(t, 'pod-2', { ...endless, chunks: 60 })
  serve(web('streams', 1, ['pod-1', 'pod-2'], 9_000))
  const weir = await start(t)
  await eventually(sockets, (list) => list.length === 1)
  const transfers = Array.from({ length: 4 }, () => new Stream(ipv4.clusterIP(1), port))
  await Promise.all(transfers.map(({ begun }) => begun))
  const { servicePorts } = await status()
  const lists = servicePorts.flatMap(({ lists }) => lists.flatMap(({ endpoints }) => endpoints))
  t.same(
    lists.map(({ ip, active }) => [ip, active]),
    [
      [ipv4.at['pod-1'], 2],
      [ipv4.at['pod-2'], 2],
    ],
    'weir status knows them all',
  )
  dying.kill('SIGKILL')
  const ends = await Promise.all(transfers.map(({ ended }) => ended))
  t.equal(ends.filter((end) => end === '60 chunks').length, 2, 'those of the other one go on to their end')
  for (const end of ends) t.match(end, /chunk|ECONNRESET/, 'each has ended')
  for (let i = 0; i < 8; i++) {
    const transfer = new Stream(ipv4.clusterIP(1), port)
    t.equal(await Promise.race([transfer.begun.then(() => 'served'), transfer.ended]), 'served', 'by the other one')
  }
  const left = await runWeir(['status'])
  t.match(left.stdout, /^test\/streams\/tcp .*rr\n +listens on .*\n +endpoints/m, 'for people')
  t.match(left.stdout, /ejected, tried again in/, 'who does not accept is ejected')
  t.match(weir.log, /does not accept: ejected/)
  await weir.end('SIGKILL')
})

t.test('clean-up leaves nothing', async (t) => {
  t.match(sh('nft list tables'), /weir-userspace/)
  t.equal((await runWeir(['cleanup'])).status, 0)
  t.notMatch(sh('nft list tables'), /weir/)
  t.equal(await ask(1), 'elsewhere')
})

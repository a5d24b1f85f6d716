/** The program in mode ipvs is killed at random moments, under traffic and changes: no connection notices. */
import { execFileSync } from 'node:child_process'
import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { inspect } from 'node:util'
import t from 'tap'
import { createIpvsStage, leftovers } from '../compliance/ipvs-tables.ts'
import { withNode } from '../compliance/with-node.ts'
import { type Net, nets, nodeName, type PodName, port } from '../flows/net.ts'
import { endpoint, exposed, type Manifest, slice } from '../flows/objects.ts'
import { randomFrom } from '../support/random.ts'
import { type Lane, SteadyTraffic } from '../support/steady-traffic.ts'
import { ownGuest } from '../support/uml-file.ts'
import { eventually, runWeir, startWeir, temporaryFolder } from './cli-program.ts'

ownGuest(import.meta.url)

const { WEIR_KILL_SEED: seed = '1' } = process.env
const random = randomFrom(Number(seed))
const stage = await createIpvsStage(['TCP'])
t.teardown(() => stage.close())
const folder = temporaryFolder()
const ports = { IPv4: 30_081, IPv6: 30_082 } as const

/** `remote-1` is always there; the others come and go. */
const sets: readonly (readonly PodName[])[] = [['remote-1'], ['remote-1', 'pod-1'], ['remote-1', 'pod-1', 'pod-2']]
const podsOf = (version: number): readonly PodName[] => sets[version % sets.length] ?? []
const write = (version: number): void => {
  const objects = nets.flatMap((net): readonly Manifest[] => {
    const name = `web-${net.family.toLowerCase()}`
    const endpoints = podsOf(version).map((pod) => endpoint(net, pod))
    return [
      exposed(net, 'TCP', { name, port: { nodePort: ports[net.family] } }),
      slice(net, 'TCP', endpoints, { service: name }),
    ]
  })
  writeFileSync(join(folder, 'next'), JSON.stringify({ apiVersion: 'v1', kind: 'List', items: withNode(objects) }))
  renameSync(join(folder, 'next'), join(folder, 'cluster.json'))
}

const args = [
  ...['run', '--manifests', folder, '--hostname-override', nodeName, '--proxy-mode', 'ipvs'],
  ...['--cluster-cidr', nets.map(({ clusterCidr }) => clusterCidr).join(',')],
]
const lanes = nets.flatMap((net): readonly Lane[] =>
  [
    { host: stage.host('client'), address: net.clusterIP(1), at: port },
    { host: stage.host('client-2'), address: net.at.node, at: ports[net.family] },
    { host: stage.host('remote-2'), address: net.vip(1), at: port },
  ].map(({ host, address, at }) => ({ host, target: { address, port: at }, servers: ['remote-1', 'pod-1', 'pod-2'] })),
)

/** Every different list of real servers that take connections, of all virtual servers, with how many have it. */
const realServers = (): Readonly<Record<string, number>> => {
  const text = execFileSync('ipvsadm', ['-Sn'], { encoding: 'utf8' })
  const found = new Map([...text.matchAll(/^-A (-\S \S+)/gm)].map(([, id = '']) => [id, [] as string[]]))
  for (const [, id = '', server = ''] of text.matchAll(/^-a (-\S \S+) -r (\S+):8080 .*-w 1$/gm))
    found.get(id)?.push(server)
  const counts: Record<string, number> = {}
  for (const servers of found.values()) {
    const list = servers.sort().join(' ')
    counts[list] = (counts[list] ?? 0) + 1
  }
  return counts
}
const serversOf = (net: Net, version: number): string =>
  podsOf(version)
    .map((pod) => (net.family === 'IPv6' ? `[${net.at[pod]}]` : net.at[pod]))
    .sort()
    .join(' ')
/** ClusterIP, external IP, load balancer IP, and NodePort at each of the node's addresses. */
const virtualServers = 3 + 3
const wanted = (version: number): Readonly<Record<string, number>> =>
  Object.fromEntries(nets.map((net) => [serversOf(net, version), virtualServers]))
const areAt = (version: number, limitMs?: number): Promise<unknown> => {
  const want = inspect(wanted(version), { sorted: true })
  return eventually(
    () => inspect(realServers(), { sorted: true }),
    (found) => found === want,
    limitMs,
  )
}

t.test(`SIGKILL, seed ${seed}`, async (t) => {
  write(2)
  const first = startWeir(t, args)
  await first.serving()
  await areAt(2)
  const traffic = new SteadyTraffic(lanes, 20)
  let version = 2
  let weir = first
  for (let round = 0; round < 4; round++) {
    // In the middle of changes, or of its start.
    for (let change = 0; change < 3; change++) {
      await sleep(random(300))
      write(++version)
    }
    await sleep(random(round % 2 === 0 ? 500 : 4_000))
    await weir.end('SIGKILL')
    await sleep(random(300))
    write(++version)
    weir = startWeir(t, args)
    if (round % 2 === 0) await weir.serving()
  }
  write(++version)
  await areAt(version, 60_000)
  await traffic.end(t)
  t.equal((await weir.end()).status, 0)
  t.same(realServers(), wanted(version), 'what it leaves when it ends')
  t.equal((await runWeir(['cleanup'])).status, 0)
  t.same(leftovers(), { servers: '', device: false, sets: '', rules: '' }, 'after a clean-up')
})

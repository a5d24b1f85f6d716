/** The node goes from mode to mode, each time by a restart with other flags: nothing is lost and nothing is left. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { Stage } from '../compliance/stage.ts'
import { withNode } from '../compliance/with-node.ts'
import { type Net, nets, nodeName, type PodName, port } from '../flows/net.ts'
import { endpoint, exposed, slice } from '../flows/objects.ts'
import { loadForeign, type Snapshot, snapshot } from '../support/foreign-rules.ts'
import type { Target } from '../support/host.ts'
import { ownNamespace } from '../support/namespace.ts'
import { type Lane, SteadyTraffic } from '../support/steady-traffic.ts'
import { eventually, runWeir, startWeir, temporaryFolder } from './cli-program.ts'

ownNamespace(import.meta.url)

const stage = await Stage.create(['TCP'])
t.teardown(() => stage.close())
const folder = temporaryFolder()

const pods: readonly PodName[] = ['pod-1', 'pod-2', 'remote-1']
const nodePortOf = (net: Net): number => (net.family === 'IPv4' ? 30081 : 30082)
const objects = nets.flatMap((net) => {
  const name = `web-${net.family.toLowerCase()}`
  const endpoints = pods.map((pod) => endpoint(net, pod))
  return [
    exposed(net, 'TCP', { name, port: { nodePort: nodePortOf(net) } }),
    slice(net, 'TCP', endpoints, { service: name }),
  ]
})
writeFileSync(
  join(folder, 'cluster.json'),
  JSON.stringify({ apiVersion: 'v1', kind: 'List', items: withNode(objects) }),
)

const targets: readonly Target[] = nets.flatMap((net) => [
  { address: net.clusterIP(1), port },
  { address: net.at.node, port: nodePortOf(net) },
  { address: net.vip(1), port },
])
const lanes: readonly Lane[] = (['client', 'node', 'remote-2'] as const).flatMap((place) =>
  targets.map((target) => ({ host: stage.host(place), target, servers: pods })),
)

/** A connection down every lane that has to stay the same one, to the same pod. */
const held = async (): Promise<(t: Test, when: string) => Promise<void>> => {
  const all = await Promise.all(lanes.map(async ({ host, target }) => ({ host, target, ...(await host.hold(target)) })))
  return async (t, when) => {
    const changed: unknown[] = []
    for (const { host, target, connection, outcome } of all) {
      const now = await host.again(connection)
      if (outcome.kind !== 'answered' || JSON.stringify(now) !== JSON.stringify(outcome))
        changed.push({ from: host.name, target, outcome, now })
    }
    t.same(changed, [], `all ${all.length} established connections go on ${when}`)
  }
}

interface Mode {
  readonly name: string
  readonly flags: readonly string[]
  /** Parts of the snapshot that are ours in this mode. */
  readonly own: readonly string[]
}

const nftables: Mode = { name: 'nftables', flags: ['--proxy-mode', 'nftables'], own: ['nft'] }
const iptables = (variant: 'legacy' | 'nft', ipset: boolean, dispatch: 'flat' | 'tree'): Mode => ({
  name: `iptables-${variant}${ipset ? ' ipset' : ''} ${dispatch}`,
  flags: [
    ...['--proxy-mode', 'iptables', '--iptables-variant', variant],
    ...[`--iptables-ipset=${ipset}`, '--iptables-dispatch', dispatch],
  ],
  own: [`iptables-${variant}`, `ip6tables-${variant}`, ...(ipset ? ['sets'] : [])],
})

const way: readonly Mode[] = [
  nftables,
  iptables('nft', false, 'flat'),
  iptables('legacy', false, 'flat'),
  iptables('legacy', true, 'flat'),
  nftables,
  iptables('legacy', true, 'tree'),
  iptables('nft', true, 'tree'),
  iptables('nft', false, 'tree'),
  iptables('nft', true, 'flat'),
  iptables('nft', false, 'flat'),
  nftables,
]

const without = (all: Snapshot, parts: readonly string[]): Snapshot =>
  Object.fromEntries(Object.entries(all).filter(([name]) => !parts.includes(name)))
const differences = (before: Snapshot, now: Snapshot): readonly string[] =>
  Object.keys(before).filter((name) => before[name] !== now[name])

const common = [
  ...['run', '--manifests', folder, '--hostname-override', nodeName, '--nodeport-addresses', 'primary'],
  ...['--cluster-cidr', nets.map(({ clusterCidr }) => clusterCidr).join(',')],
]

t.test('from mode to mode', async (t) => {
  loadForeign()
  const before = snapshot()
  let traffic: SteadyTraffic | undefined
  let survives: Awaited<ReturnType<typeof held>> | undefined
  for (const mode of way) {
    const weir = startWeir(t, [...common, ...mode.flags])
    await weir.serving()
    const rest = without(before, mode.own)
    const left = await eventually(
      () => differences(rest, snapshot()),
      (names) => names.length === 0,
      10_000,
    ).catch(() => differences(rest, snapshot()))
    for (const name of left) t.equal(snapshot()[name], rest[name], `${mode.name}: nothing is left in ${name}`)
    t.same(left, [], `${mode.name}: no residue of other modes`)
    if (traffic === undefined) {
      for (const { host, target } of lanes)
        await eventually(
          () => host.ask({ ...target, timeoutMs: 1_000 }),
          (outcome) => outcome.kind === 'answered' && pods.some((pod) => pod === outcome.name),
        )
      traffic = new SteadyTraffic(lanes)
      survives = await held()
    }
    await sleep(300)
    await survives?.(t, `in ${mode.name}`)
    const complaints = weir.lines(/^[WE]/).filter((line) => !line.includes('both variants of iptables hold'))
    t.same(complaints, [], `${mode.name}: nothing to complain about, but that foreign rules are in both variants`)
    t.equal((await weir.end()).status, 0)
  }
  await traffic?.end(t)
  t.equal((await runWeir(['cleanup'])).status, 0)
  t.same(snapshot(), before, 'after clean-up everything is as it was')
})

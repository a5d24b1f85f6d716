/** Clean-up on a node that others use too, with names that resemble ours: ours goes, theirs stays, counted and in order. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { type Variant, variants } from '../../src/kernel/iptables/iptables.ts'
import { withBallast } from '../compliance/ballast.ts'
import { type IptablesLayout, iptablesLayouts, layoutName } from '../compliance/iptables-traits.ts'
import { withNode } from '../compliance/with-node.ts'
import { nets, nodeName } from '../flows/net.ts'
import { endpoint, exposed, service, slice } from '../flows/objects.ts'
import { loadForeign, loadKubelet, type Snapshot, snapshot } from '../support/foreign-rules.ts'
import { ownNamespace } from '../support/namespace.ts'
import { runWeir } from './cli-program.ts'

ownNamespace(import.meta.url)

const folder = mkdtempSync(join(tmpdir(), 'weir-cleanup-'))
t.teardown(() => rmSync(folder, { recursive: true }))
// Chains of every kind; sets with members.
const objects = nets.flatMap((net, i) => [
  exposed(net, 'TCP', {
    name: `web-${i}`,
    port: { nodePort: 30080 + i },
    spec: { externalTrafficPolicy: 'Local', loadBalancerSourceRanges: [net.aroundClient], sessionAffinity: 'ClientIP' },
  }),
  slice(net, 'TCP', [endpoint(net, 'pod-1'), endpoint(net, 'remote-1')], { service: `web-${i}` }),
  service(net, 'UDP', {
    name: `none-${i}`,
    port: { port: 53, nodePort: 30053 + i },
    spec: { clusterIP: net.clusterIP(2), clusterIPs: [net.clusterIP(2)], externalIPs: [net.externalIP(2)] },
  }),
])

writeFileSync(
  join(folder, 'cluster.json'),
  JSON.stringify({ apiVersion: 'v1', kind: 'List', items: withNode(withBallast(objects)) }),
)

const program = (variant: Variant, { ipset, dispatch }: IptablesLayout): readonly string[] => [
  ...['run', '--manifests', folder, '--hostname-override', nodeName, '--once'],
  ...['--proxy-mode', 'iptables', '--iptables-variant', variant],
  ...[`--iptables-ipset=${ipset}`, '--iptables-dispatch', dispatch],
]

const run = async (t: Test, args: readonly string[]): Promise<void> => {
  const { status, stderr } = await runWeir(args)
  t.equal(status, 0, stderr)
}

/** How many chains of each kind there are. */
const chainsOf = (variant: Variant, now: Snapshot, kind: string): number =>
  ['iptables', 'ip6tables'].flatMap(
    (family) => now[`${family}-${variant}`]?.match(new RegExp(`^:${kind}-[A-Z2-7]{16} `, 'gm')) ?? [],
  ).length

for (const withKubelet of [false, true]) {
  for (const variant of variants) {
    t.test(`${variant}, ${withKubelet ? 'with' : 'without'} kubelet`, async (t) => {
      reset()
      loadForeign()
      if (withKubelet) loadKubelet(variant)
      const before = snapshot({ counters: true })
      for (const layout of iptablesLayouts) {
        await run(t, program(variant, layout))
        const now = snapshot()
        for (const kind of ['SVC', 'SVL', 'EXT', ...(layout.ipset ? [] : ['FW', 'SEP'])])
          t.ok(chainsOf(variant, now, `KUBE-${kind}`) > 1, `${layoutName(layout)}: there is KUBE-${kind}-`)
        t.equal(/^:WEIR-/m.test(Object.values(now).join('')), layout.dispatch === 'tree' || layout.ipset, 'and WEIR-')
        t.equal(/^Name: WEIR-[46]-/m.test(now['sets'] ?? ''), layout.ipset, 'with sets or without')
        await run(t, ['cleanup'])
        t.same(snapshot({ counters: true }), before, `${layoutName(layout)}: all of ours is gone, and nothing else`)
      }
      await run(t, ['cleanup'])
      t.same(snapshot({ counters: true }), before, 'once more, over nothing')
    })
  }
}

t.test('a restart with other options leaves nothing of the old ones', async (t) => {
  reset()
  loadForeign()
  const fresh = new Map<IptablesLayout, Snapshot>()
  for (const layout of iptablesLayouts) {
    await run(t, program('nft', layout))
    fresh.set(layout, sorted(snapshot()))
    await run(t, ['cleanup'])
  }
  const [plain, sets, tree, both] = iptablesLayouts
  // From each to each other.
  const round = [plain, sets, plain, tree, plain, both, sets, tree, sets, both, tree, both, plain]
  let before: IptablesLayout | undefined
  for (const layout of round) {
    if (layout === undefined) throw new TypeError('a layout is missing')
    await run(t, program('nft', layout))
    const from = before === undefined ? 'nothing' : layoutName(before)
    t.same(sorted(snapshot()), fresh.get(layout), `from ${from} to ${layoutName(layout)}`)
    before = layout
  }
})

/** Chains, sets, members, and rules that each match packets of their own, come in the order in which they came to be. */
function sorted(all: Snapshot): Snapshot {
  const anyOrder = /^(?::|-A (?:KUBE-SERVICES|KUBE-NODEPORTS|KUBE-EXTERNAL-SERVICES|KUBE-PROXY-FIREWALL|WEIR-\S+) )/
  return Object.fromEntries(
    Object.entries(all).map(([name, text]) => {
      if (name === 'sets')
        return [
          name,
          text
            .split('\n\n')
            .map((set) => set.split('\n').sort().join('\n'))
            .sort()
            .join('\n\n'),
        ]
      const lines = text.split('\n')
      const free = lines.filter((line) => anyOrder.test(line)).sort()
      return [name, [...free, ...lines.filter((line) => !anyOrder.test(line))].join('\n')]
    }),
  )
}

/** Nobody has ever been here. */
function reset(): void {
  const commands = ['iptables', 'ip6tables'].flatMap((family) =>
    variants.flatMap((variant) =>
      ['mangle', 'nat', 'filter'].flatMap((table) =>
        ['-F', '-X'].map((word) => `${family}-${variant} -t ${table} ${word}`),
      ),
    ),
  )
  execFileSync('sh', ['-ec', `${commands.join('\n')}\nnft flush ruleset\nsleep 0.2\nipset destroy`])
}

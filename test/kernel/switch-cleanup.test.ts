/** Clean-up on a node that others use too, with names that resemble ours: ours goes, theirs stays, counted and in order. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { type Variant, variants } from '../../src/kernel/iptables/iptables.ts'
import { type IptablesLayout, iptablesLayouts, layoutName } from '../compliance/iptables-traits.ts'
import { withNode } from '../compliance/with-node.ts'
import { nets, nodeName } from '../flows/net.ts'
import { exposed, ready, service } from '../flows/objects.ts'
import { loadForeign, loadKubelet, type Snapshot, snapshot } from '../support/foreign-rules.ts'
import { ownNamespace } from '../support/namespace.ts'
import { runWeir } from './cli-program.ts'

ownNamespace(import.meta.url)

const folder = mkdtempSync(join(tmpdir(), 'weir-cleanup-'))
t.teardown(() => rmSync(folder, { recursive: true }))
// One of everything: chains of every kind, and members in every set.
const objects = nets.flatMap((net, i) => [
  exposed(net, 'TCP', {
    name: `web-${i}`,
    port: { nodePort: 30080 + i },
    spec: { externalTrafficPolicy: 'Local', loadBalancerSourceRanges: [net.aroundClient], sessionAffinity: 'ClientIP' },
  }),
  { ...ready(net, 'TCP', 'pod-1', 'remote-1'), metadata: metadata(`web-${i}`) },
  service(net, 'UDP', {
    name: `none-${i}`,
    port: { port: 53, nodePort: 30053 + i },
    spec: { clusterIP: net.clusterIP(2), clusterIPs: [net.clusterIP(2)], externalIPs: [net.externalIP(2)] },
  }),
  // Enough for a tree to have branches.
  ...Array.from({ length: 30 }, (_, n) => [
    service(net, 'TCP', {
      name: `more-${i}-${n}`,
      spec: { clusterIP: net.clusterIP(n + 10), clusterIPs: [net.clusterIP(n + 10)] },
    }),
    { ...ready(net, 'TCP', 'pod-2'), metadata: metadata(`more-${i}-${n}`) },
  ]).flat(),
])

function metadata(name: string) {
  return { namespace: 'test', name: `${name}-1`, labels: { 'kubernetes.io/service-name': name } }
}

writeFileSync(
  join(folder, 'cluster.json'),
  JSON.stringify({ apiVersion: 'v1', kind: 'List', items: withNode(objects) }),
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
  for (const before of iptablesLayouts) {
    for (const after of iptablesLayouts) {
      if (before === after) continue
      await run(t, program('nft', before))
      await run(t, program('nft', after))
      t.same(sorted(snapshot()), fresh.get(after), `from ${layoutName(before)} to ${layoutName(after)}`)
      await run(t, ['cleanup'])
    }
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

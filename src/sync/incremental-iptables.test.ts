import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { dumpRules } from '../../test/kernel/sync-iptables-dump.ts'
import { fakeKernel, type RuleKernel } from '../../test/kernel/sync-iptables-kernel.ts'
import { IptablesNode } from '../../test/kernel/sync-iptables-life.ts'
import { layoutName, layouts } from '../../test/kernel/sync-iptables-rig.ts'
import { Tally } from '../../test/kernel/sync-life.ts'
import { anyLife, type Life } from '../../test/kernel/sync-world.ts'
import { endpoint, ip, key, service, slice } from '../../test/property/track-objects.ts'
import type { IptablesSettings } from '../backends/iptables/settings.ts'
import type { TableChange } from '../kernel/iptables/restore-builder.ts'
import type { ModelChange } from '../model/change.ts'
import { families } from '../model/ip.ts'
import { sliceKey } from '../model/names.ts'

const anySwitches = fc.record({
  localhostNodePorts: fc.boolean(),
  dropInvalid: fc.boolean(),
  randomFully: fc.boolean(),
  nfacct: fc.boolean(),
})

type Switches = Partial<IptablesSettings>

/** What one process leaves, and another one finds and makes of it, is what a third writes into empty tables. */
const outlive = async (
  lives: fc.Arbitrary<readonly [Life, Switches, Switches?]>,
  { numRuns, seed = 20_261_120 }: { readonly numRuns: number; readonly seed?: number },
): Promise<Tally> => {
  const tally = new Tally()
  await fc.assert(
    fc.asyncProperty(lives, async ([life, switches, next]) => {
      const kernel = fakeKernel()
      const node = new IptablesNode(life, kernel, switches, tally)
      await node.live()
      const left = await dumpRules(kernel)

      const successor = await node.start(kernel, switches)
      expect(successor.ledger.operations, 'a successor finds all done').toEqual([])
      const summaries = successor.rig.backends.flatMap(({ plans }) => plans.map(({ summary }) => summary))
      expect(summaries.map(({ empty }) => empty)).toEqual([true, true])

      const other = fakeKernel()
      const fresh = await node.start(other, switches)
      expect(left).toEqual(await dumpRules(other))
      for (const rig of [node.rig, successor.rig])
        expect(rig.backends.map((each) => each.counts())).toEqual(fresh.rig.backends.map((each) => each.counts()))
      if (next === undefined) return

      const changed = await node.start(kernel, next)
      await changed.rig.tidy()
      const empty = fakeKernel()
      await node.start(empty, next)
      // Kubelet's chain keeps our copy of kubelet's own rule.
      const ours = async (from: RuleKernel) => {
        const { chains, sets } = await dumpRules(from)
        return { chains: { ...chains, 'IPv4 filter KUBE-FIREWALL': [] }, sets }
      }
      expect(await ours(kernel), 'another configuration leaves nothing of this one').toEqual(await ours(empty))
    }),
    { seed, numRuns },
  )
  return tally
}

/** Some twenty Services come and go around one that has about as many endpoints as make a cluster large. */
const crowdedLife: fc.Arbitrary<Life> = fc
  .tuple(
    anyLife(12),
    fc.array(fc.tuple(fc.constantFrom(0, 960, 990, 1000, 1040), fc.nat(40)), { minLength: 6, maxLength: 6 }),
  )
  .map(([life, crowds]) => {
    const steps = [...life.steps]
    for (const [size, at] of crowds)
      steps.splice(1 + (at % steps.length), 0, { kind: 'changes', batch: crowd(size) }, { kind: 'sync', faults: [] })
    return { ...life, steps }
  })

const crowdKey = key('crowd/crowd')

const crowd = (size: number): readonly ModelChange[] => [
  {
    kind: 'service',
    key: crowdKey,
    value: service('crowd/crowd', { clusterIPs: [ip('10.99.0.1'), ip('fd99::1')] }),
  },
  ...families.map((family): ModelChange => {
    const endpoints = Array.from({ length: size }, (_, i) =>
      endpoint(family === 'IPv4' ? `10.200.${i >> 8}.${i & 255}` : `fd02::${(i + 1).toString(16)}`),
    )
    const value = { ...slice('crowd/crowd-1', endpoints, { family }), key: sliceKey('crowd', `crowd-${family}`) }
    return { kind: 'slice', key: value.key, value }
  }),
]

describe('any sequence of events, syncs, failures and pauses', () => {
  const cases = layouts.map((layout) => ({ layout, name: layoutName(layout) }))

  it.each(cases)(
    'leaves what one full sync of the final objects writes into empty tables: $name',
    async ({ layout }) => {
      const lives = fc.tuple(
        anyLife(24),
        anySwitches.map((switches) => ({ ...switches, ...layout })),
      )
      const tally = await outlive(lives, { numRuns: 100 })
      expect(tally.partial).toBeGreaterThan(400)
      expect(tally.failed).toBeGreaterThan(40)
      expect(tally.written).toBeLessThan(tally.present)
    },
    120_000,
  )

  it.each(cases)(
    'does so when the cluster becomes large and small again: $name',
    async ({ layout }) => {
      const tally = await outlive(fc.tuple(crowdedLife, fc.constant(layout)), { numRuns: 5 })
      expect(tally.partial).toBeGreaterThan(40)
    },
    120_000,
  )

  it('leaves nothing to a successor with another configuration but what that one would have written', async () => {
    const any = fc
      .tuple(anySwitches, fc.constantFrom(...layouts))
      .map(([switches, layout]) => ({ ...switches, ...layout }))
    await outlive(fc.tuple(anyLife(8), any, any), { numRuns: 80, seed: 20_261_121 })
  }, 120_000)
})

/** Without one statement that is of consequence: a chain that is declared anew is empty either way. */
const without = (changes: readonly TableChange[], seed: number): readonly TableChange[] => {
  const all = changes.flatMap(({ table, statements }) => statements.map((statement) => ({ table, statement })))
  const weighty = all.filter(({ statement: { kind } }) => kind !== 'chain' && kind !== 'flush')
  const cut = weighty[seed % weighty.length]
  return changes.map(({ table, statements }) => ({
    table,
    statements: statements.filter((statement) => statement !== cut?.statement),
  }))
}

it('notices a restore that loses a single statement', async () => {
  const tally = new Tally()
  const [life] = fc.sample(anyLife(20), { seed: 7, numRuns: 1 })
  if (life === undefined) throw new Error('no life')
  const steps = life.steps.map((step) => (step.kind === 'sync' ? { ...step, faults: [] } : step))
  let commits = 1
  let cuts = 0
  let noticed = 0
  for (let target = 0; target < commits; target++) {
    commits = 0
    const kernel = fakeKernel()
    const node = new IptablesNode({ ...life, steps }, kernel, {}, tally)
    for (const { iptables } of node.rig.backends)
      iptables.rewrite = (changes) => {
        if (commits++ !== target) return changes
        cuts++
        return without(changes, 3 * target)
      }
    try {
      await node.live()
      const other = fakeKernel()
      await node.start(other, {})
      expect(await dumpRules(kernel)).toEqual(await dumpRules(other))
    } catch {
      noticed++
    }
  }
  expect(cuts).toBeGreaterThan(6)
  expect(noticed, 'but for what a later change put right').toBeGreaterThanOrEqual(cuts - 2)
}, 60_000)

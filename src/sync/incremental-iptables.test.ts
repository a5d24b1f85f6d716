import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { dumpRules } from '../../test/kernel/sync-iptables-dump.ts'
import { fakeKernel } from '../../test/kernel/sync-iptables-kernel.ts'
import { IptablesNode } from '../../test/kernel/sync-iptables-life.ts'
import { layoutName, layouts } from '../../test/kernel/sync-iptables-rig.ts'
import { Tally } from '../../test/kernel/sync-life.ts'
import { anyLife, type Life } from '../../test/kernel/sync-world.ts'
import type { IptablesSettings } from '../backends/iptables/settings.ts'

const anySwitches = fc.record({
  localhostNodePorts: fc.boolean(),
  dropInvalid: fc.boolean(),
  randomFully: fc.boolean(),
  nfacct: fc.boolean(),
})

type Switches = Partial<IptablesSettings>

const outlive = async (lives: fc.Arbitrary<readonly [Life, Switches]>, numRuns: number): Promise<Tally> => {
  const tally = new Tally()
  await fc.assert(
    fc.asyncProperty(lives, async ([life, switches]) => {
      const kernel = fakeKernel()
      const node = new IptablesNode(life, kernel, switches, tally)
      await node.live()
      const left = await dumpRules(kernel)

      const successor = await node.start(kernel, switches)
      expect(successor.ledger.operations, 'a successor finds all done').toEqual([])
      expect(successor.rig.backends.map(({ plans }) => plans.map(({ summary }) => summary.empty))).toEqual([
        [true],
        [true],
      ])

      const other = fakeKernel()
      const fresh = await node.start(other, switches)
      expect(left).toEqual(await dumpRules(other))
      for (const rig of [node.rig, successor.rig])
        expect(rig.backends.map((each) => each.counts())).toEqual(fresh.rig.backends.map((each) => each.counts()))
    }),
    { seed: 20_261_120, numRuns },
  )
  return tally
}

describe('any sequence of events, syncs, failures and pauses', () => {
  it.each(layouts.map((layout) => ({ layout, name: layoutName(layout) })))(
    'leaves what one full sync of the final objects writes into empty tables: $name',
    async ({ layout }) => {
      const lives = fc.tuple(
        anyLife(24),
        anySwitches.map((switches) => ({ ...switches, ...layout })),
      )
      const tally = await outlive(lives, 100)
      expect(tally.partial).toBeGreaterThan(400)
      expect(tally.failed).toBeGreaterThan(40)
      expect(tally.written).toBeLessThan(tally.present)
    },
    120_000,
  )
})

/**
 * Any sequence of events, applied step by step with failures in between, leaves in the kernel what one full sync of the
 * final objects writes into empty tables, and a successor recognises every rule as its own.
 */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { variants } from '../../src/kernel/iptables/iptables.ts'
import { ownNamespace } from '../support/namespace.ts'
import { dumpRules, type RulesDump } from './sync-iptables-dump.ts'
import { fakeKernel, realKernel } from './sync-iptables-kernel.ts'
import { IptablesNode } from './sync-iptables-life.ts'
import { layoutName, layouts } from './sync-iptables-rig.ts'
import { wipeRules } from './sync-iptables-tools.ts'
import { Tally } from './sync-life.ts'
import { anyLife } from './sync-world.ts'

ownNamespace(import.meta.url)

const switches = fc.record({
  localhostNodePorts: fc.boolean(),
  dropInvalid: fc.boolean(),
  randomFully: fc.boolean(),
})

/** Tables and built-in chains are there or not, as the variant likes it. */
const ours = ({ chains, sets }: RulesDump): RulesDump => ({
  chains: Object.fromEntries(
    Object.entries(chains).filter(([name, rules]) => / (?:KUBE|WEIR)-/.test(name) || rules.length > 0),
  ),
  sets,
})

for (const variant of variants)
  for (const layout of layouts)
    t.test(`${variant}, ${layoutName(layout)}`, async (t) => {
      const tally = new Tally()
      const kernel = realKernel(variant)
      t.teardown(async () => {
        kernel.close()
        await wipeRules(variant)
      })
      await fc.assert(
        fc.asyncProperty(anyLife(14), switches, async (life, rest) => {
          const settings = { ...rest, ...layout }
          await wipeRules(variant)
          const node = new IptablesNode(life, kernel, settings, tally)
          await node.live()
          const left = await dumpRules(kernel)

          const successor = await node.start(kernel, settings)
          assert.deepEqual(successor.ledger.operations, [], 'a successor finds all done')

          const fake = fakeKernel(variant)
          await node.start(fake, settings)
          assert.deepEqual(ours(left), ours(await dumpRules(fake)), 'the fake ends as the kernel does')

          await wipeRules(variant)
          const fresh = await node.start(kernel, settings)
          assert.deepEqual(left, await dumpRules(kernel))
          const counts = (from: typeof fresh) => from.rig.backends.map((each) => each.counts())
          assert.deepEqual(
            node.rig.backends.map((each) => each.counts()),
            counts(fresh),
          )
          assert.deepEqual(counts(successor), counts(fresh))
        }),
        { seed: 20_261_120, numRuns: 10, endOnFailure: true },
      )
      t.comment(JSON.stringify(tally))
      t.ok(tally.partial > 10, `${tally.partial} partial syncs`)
      t.ok(tally.failed > 0, `${tally.failed} failures`)
    })

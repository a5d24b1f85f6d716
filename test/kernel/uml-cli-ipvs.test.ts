/**
 * The program in mode ipvs, in a guest whose kernel has IPVS: what it writes and removes, and changes of mode. test/uml/cli-ipvs.ts
 * says what is compared with what.
 */
import t from 'tap'
import { ownNamespace } from '../support/namespace.ts'
import { describeOutcome, runInGuest } from '../support/uml.ts'
import { missingGuestMeans } from '../support/uml-means.ts'
import { readComparisons } from '../uml/comparison.ts'

ownNamespace(import.meta.url)

const { signal } = new AbortController()

const missing = await missingGuestMeans(signal)
if (missing.length > 0) t.plan(0, `this machine lacks ${missing.join(', ')}`)
else {
  const script = new URL('../uml/cli-ipvs.js', import.meta.url)
  const outcome = await runInGuest({ script, timeoutMs: 170_000 }, signal)
  t.match(outcome, { kind: 'exited', status: 0 }, 'the program in the guest', { guest: describeOutcome(outcome) })
  const comparisons = readComparisons(outcome.output)
  t.ok(comparisons.length > 15, 'everything was compared', { count: comparisons.length })
  for (const { name, found, wanted } of comparisons) t.same(found, wanted, name)
}

/** Mode ipvs on a real kernel: cold, warm, by changes, with connections that drain, refused, disturbed, and cleaned up. */
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
  const script = new URL('../uml/ipvs-backend.js', import.meta.url)
  const outcome = await runInGuest({ script, timeoutMs: 240_000 }, signal)
  const comparisons = readComparisons(outcome.output)
  for (const { name, found, wanted } of comparisons) t.same(found, wanted, name)
  t.match(outcome, { kind: 'exited', status: 0 }, 'the program in the guest', { guest: describeOutcome(outcome) })
}

/** Taking over from kube-proxy's mode ipvs, in a guest that has IPVS: test/uml/takeover.ts. */
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
  const script = new URL('../uml/takeover.js', import.meta.url)
  const outcome = await runInGuest({ script }, signal)
  t.match(outcome, { kind: 'exited', status: 0 }, 'the program in the guest', { guest: describeOutcome(outcome) })
  const comparisons = readComparisons(outcome.output)
  t.equal(comparisons.length, 8, 'everything was compared')
  for (const { name, found, wanted } of comparisons) t.same(found, wanted, name)
}

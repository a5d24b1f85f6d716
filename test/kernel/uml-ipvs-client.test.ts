/**
 * Our IPVS client and its fake, judged in a guest by a kernel that has IPVS and by ipvsadm: test/uml/ipvs-client.ts says what is
 * compared with what.
 */
import t from 'tap'
import { ownNamespace } from '../support/namespace.ts'
import { describeOutcome, runInGuest } from '../support/uml.ts'
import { missingGuestMeans } from '../support/uml-means.ts'
import { readComparisons } from '../uml/comparison.ts'
import { steps } from '../uml/ipvs-script.ts'

ownNamespace(import.meta.url)

const { signal } = new AbortController()

const missing = await missingGuestMeans(signal)
if (missing.length > 0) t.plan(0, `this machine lacks ${missing.join(', ')}`)
else {
  const script = new URL('../uml/ipvs-client.js', import.meta.url)
  const outcome = await runInGuest({ script, timeoutMs: 150_000 }, signal)
  t.match(outcome, { kind: 'exited', status: 0 }, 'the program in the guest', { guest: describeOutcome(outcome) })
  t.comment(/^loads: .*/m.exec(outcome.console)?.[0] ?? '')
  const comparisons = readComparisons(outcome.output)
  t.ok(comparisons.length > 2 * steps.length + 30, 'everything was compared', { count: comparisons.length })
  for (const { name, found, wanted } of comparisons) t.same(found, wanted, name)
}

/**
 * The layout of mode ipvs in a kernel that has IPVS, loaded by the kernel's own tools: who answers whom, and whom the endpoint
 * sees. Numbers are those of docs/service-semantics.md.
 */
import t from 'tap'
import { families } from '../../src/model/ip.ts'
import { ownNamespace } from '../support/namespace.ts'
import { describeOutcome, runInGuest } from '../support/uml.ts'
import { missingGuestMeans } from '../support/uml-means.ts'
import { readReports } from '../uml/layout-report.ts'

ownNamespace(import.meta.url)

const { signal } = new AbortController()

const missing = await missingGuestMeans(signal)
if (missing.length > 0) t.plan(0, `this machine lacks ${missing.join(', ')}`)
else {
  const script = new URL('../uml/ipvs-layout.js', import.meta.url)
  const outcome = await runInGuest({ script, timeoutMs: 180_000 }, signal)
  t.match(outcome, { kind: 'exited', status: 0 }, 'the program in the guest', { guest: describeOutcome(outcome) })
  const reports = readReports(outcome.output)
  for (const family of families)
    t.test(family, async (t) => {
      const of = reports.filter((report) => report.family === family)
      for (const { name, got, want } of of) t.equal(got, want, name)
      t.ok(of.length > 50, 'every connection was tried')
    })
}

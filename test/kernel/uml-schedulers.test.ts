/**
 * The kernel is the judge of src/algorithms: in a guest, each scheduler of IPVS and ours go through the same connections,
 * changes of weights and thresholds, removals and additions, and pick alike, one by one. The counters are
 * ours, and compared with the kernel's after each step. Another WEIR_UML_SEED makes other steps.
 */
import t from 'tap'
import { ownNamespace } from '../support/namespace.ts'
import { describeOutcome, runInGuest } from '../support/uml.ts'
import { missingGuestMeans } from '../support/uml-means.ts'
import { kernelModel } from '../uml/kernel-model.ts'
import { readReports } from '../uml/report.ts'
import { variants } from '../uml/variants.ts'

ownNamespace(import.meta.url)

const { signal } = new AbortController()
const { WEIR_UML_SEED: seed = '1' } = process.env

const missing = await missingGuestMeans(signal)
if (missing.length > 0) t.plan(0, `this machine lacks ${missing.join(', ')}`)
else {
  const script = new URL('../uml/schedulers.js', import.meta.url)
  const outcome = await runInGuest({ script, args: [seed], timeoutMs: 150_000 }, signal)
  t.match(outcome, { kind: 'exited', status: 0 }, 'the program in the guest', { guest: describeOutcome(outcome) })
  const reports = readReports(outcome.output)
  const end = reports.find((report) => report.kind === 'end')
  t.comment(`Linux ${end?.release}, overhead ${end?.overhead}, seed ${seed}`)
  for (const name of end?.missing ?? []) t.comment(`this kernel has no scheduler ${name}; nothing was compared`)
  t.same(
    (end?.missing ?? []).filter((name) => name !== 'twos'),
    [],
    'the kernel has every scheduler but twos, whose random numbers are its own',
  )

  t.test('which kernels count how', async (t) => {
    for (const release of ['5.10.0-30-amd64', '6.1.182', '6.6.99', '6.12.103+deb13-amd64'])
      t.equal(kernelModel(release).overhead, 'legacy', release)
    for (const release of ['6.1.183', '6.12.104', '6.13.0', '7.0.1'])
      t.equal(kernelModel(release).overhead, 'total', release)
  })

  for (const { name } of variants)
    t.test(name, async (t) => {
      const found = reports.find((report) => report.kind === 'variant' && report.name === name)
      if (found?.kind !== 'variant') {
        t.fail('no report')
        return
      }
      const { steps, picks, nobody, disagreements, examples, rival, rivalWrong } = found
      t.comment(
        `${steps} steps, ${picks} picks, ${nobody} of them nobody; ${rival} would have erred ${rivalWrong} times`,
      )
      t.same(examples, [], `${disagreements} disagreements`)
      t.ok(picks > 100, 'enough connections')
      t.ok(rivalWrong > 0, `the steps tell it from ${rival}`)
    })
}

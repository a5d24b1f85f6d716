/** `node build/test/kernel/run.js [PART-OF-A-PATH…]`: runs the kernel tests, or those whose path holds an argument. */
import { fileURLToPath } from 'node:url'
import { runKernelTests, usualPace } from '../support/kernel-tests.ts'
import { missingMeans } from '../support/means.ts'
import { tallyLine } from '../support/tally.ts'

const interrupt = new AbortController()
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => interrupt.abort())

const tally = await runKernelTests(
  {
    folder: fileURLToPath(new URL('.', import.meta.url)),
    only: process.argv.slice(2),
    ...usualPace,
    missing: missingMeans(),
    print: (text) => process.stdout.write(text),
  },
  interrupt.signal,
)
for (const { name, reason } of tally.skipped) console.log(`SKIPPED ${name}: ${reason}`)
for (const name of tally.failed) console.log(`FAILED ${name}`)
console.log(tallyLine(tally))
process.exitCode = tally.failed.length > 0 ? 1 : 0

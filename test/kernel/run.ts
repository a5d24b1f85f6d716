/** `node build/test/kernel/run.js [PART-OF-A-PATH…]`: runs the kernel tests, or those whose path holds an argument. */
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { runKernelTests } from '../support/kernel-tests.ts'
import { missingMeans } from '../support/means.ts'
import { tallyLine } from '../support/tally.ts'

const interrupt = new AbortController()
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => interrupt.abort())

const tally = await runKernelTests(
  {
    folder: fileURLToPath(new URL('.', import.meta.url)),
    only: process.argv.slice(2),
    // They wait more than they work: for silence, for time-outs, for timers of the kernel.
    parallel: availableParallelism() + 1,
    fileLimitMs: 240_000,
    missing: missingMeans(),
    print: (text) => process.stdout.write(text),
  },
  interrupt.signal,
)
for (const { name, reason } of tally.skipped) console.log(`SKIPPED ${name}: ${reason}`)
for (const name of tally.failed) console.log(`FAILED ${name}`)
console.log(tallyLine(tally))
process.exitCode = tally.failed.length > 0 ? 1 : 0

/**
 * `node build/scripts/test/main.js STEP=STATUS…`: the unit tests, the kernel tests, and the summary of everything.
 * The steps that came before (lint, build) are named with their exit status. The last line is the whole run's count.
 */
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { within } from '../../src/model/within.ts'
import { runKernelTests, usualPace } from '../../test/support/kernel-tests.ts'
import { missingMeans } from '../../test/support/means.ts'
import { emptyTally, forbidSkips, sumTallies, type Tally, tallyLine } from '../../test/support/tally.ts'
import { runUnitTests } from './unit.ts'

/** What is left over then has failed. */
const limitMs = { 'unit tests': 6 * 60_000, 'kernel tests': 17 * 60_000 } as const

const build = fileURLToPath(new URL('../..', import.meta.url))
const root = resolve(build, '..')
const print = (text: string): void => {
  process.stdout.write(text)
}

const interrupt = new AbortController()
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => interrupt.abort())

/** Each with what it counts; a step without tests of its own counts only when it fails. */
const results: { readonly name: string; readonly tally: Tally; readonly detail: string }[] = []

const timed = async (name: keyof typeof limitMs, run: (signal: AbortSignal) => Promise<Tally>): Promise<void> => {
  print(`\n== ${name}\n`)
  const startedAt = performance.now()
  const tally = await within(limitMs[name], interrupt.signal, run)
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1)
  results.push({ name, tally, detail: `${tallyLine(tally)}, ${seconds} s` })
}

for (const argument of process.argv.slice(2)) {
  const [name = '', status] = argument.split('=')
  const passed = status === '0'
  const tally = passed ? emptyTally : { ...emptyTally, failed: [`${name} (its output is above)`] }
  results.push({ name, tally, detail: passed ? 'passed' : 'FAILED' })
}
await timed('unit tests', (signal) => runUnitTests(root, signal))
await timed('kernel tests', (signal) =>
  runKernelTests(
    {
      folder: `${build}/test/kernel`,
      only: [],
      ...usualPace,
      missing: missingMeans(),
      print,
    },
    signal,
  ),
)

const { CI = '', WEIR_CI = '' } = process.env
const strict = (CI !== '' && CI !== 'false') || WEIR_CI !== ''
const found = sumTallies(results.map(({ tally }) => tally))
const total = strict ? forbidSkips(found) : found

print('\n== summary\n')
for (const { name, detail } of results) print(`${name.padEnd(14)}${detail}\n`)
if (total.skipped.length > 0) print('NOT RUN on this machine:\n')
for (const { name, reason } of total.skipped) print(`  ${name}: ${reason}\n`)
if (total.failed.length > 0) print(strict ? 'FAILED (in CI, what cannot run has failed):\n' : 'FAILED:\n')
for (const name of total.failed) print(`  ${name}\n`)
print(`${tallyLine(total)}\n`)
process.exitCode = total.failed.length > 0 ? 1 : 0

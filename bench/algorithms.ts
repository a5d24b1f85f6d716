/**
 * What a pick of each scheduler costs: `node build/bench/algorithms.js`. Needs no privileges. Measures in a process of its
 * own, whose young generation is so large that nothing is collected while allocations are counted.
 */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { algorithmUsage, parseAlgorithmOptions } from './algorithms/options.ts'

const args = process.argv.slice(2)
try {
  if (parseAlgorithmOptions(args).help) {
    process.stdout.write(algorithmUsage)
    process.exit(0)
  }
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n${algorithmUsage}`)
  process.exit(2)
}
const run = fileURLToPath(new URL('./algorithms/run.js', import.meta.url))
const { status } = spawnSync(process.execPath, ['--expose-gc', '--min-semi-space-size=64', run, ...args], {
  stdio: 'inherit',
})
process.exitCode = status ?? 1

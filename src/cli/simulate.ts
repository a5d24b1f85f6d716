import { readFile, writeFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import type { SimulateOptions } from '../config/simulate-options.ts'
import {
  htmlReport,
  jsonReport,
  readScenario,
  type Scenario,
  type SchedulerResult,
  type TextStyle,
  textReport,
} from '../simulate/index.ts'
import { describe, FatalError } from './fatal.ts'
import { chartLibrary } from './simulate-chart-library.ts'
import { simulateAll } from './simulate-pool.ts'
import { ProgressBar, type Screen } from './simulate-progress.ts'

/** What `weir simulate` is connected to. */
export interface SimulateOutput {
  readonly out: (text: string) => void
  /** How standard output shows text. */
  readonly style: TextStyle
  /** Where progress is shown: standard error when it is a terminal. */
  readonly screen: Screen | undefined
}

/**
 * `weir simulate`: reads a scenario, runs every scheduler on it and writes what they made of it.
 *
 * @throws SimulateError for what is wrong with the scenario, FatalError for files that cannot be read or written
 */
export const simulate = async (
  options: SimulateOptions,
  { out, style, screen }: SimulateOutput,
  signal: AbortSignal,
): Promise<void> => {
  const { seed, connections, schedulers } = options
  const text = await readScenarioFile(options.scenario, signal)
  const scenario = readScenario(text, options.scenario, {
    seed,
    connections,
    schedulers: schedulers?.map((name) => ({ name, flags: [] })),
  })
  // Before the work, so that nobody waits for it in vain.
  const library = options.html === undefined ? '' : await chartLibrary()
  const results = await simulated(scenario, screen, signal)
  const printed = options.json === '-' || options.html === '-'
  if (options.json !== undefined) await give(options.json, jsonReport(scenario, results), out, signal)
  if (options.html !== undefined) await give(options.html, htmlReport(scenario, results, library), out, signal)
  if (!printed) out(textReport(scenario, results, style))
}

const readScenarioFile = async (path: string, signal: AbortSignal): Promise<string> => {
  try {
    return await readFile(path, { encoding: 'utf8', signal })
  } catch (cause) {
    signal.throwIfAborted()
    throw new FatalError(`cannot read the scenario: ${describe(cause)}`, cause)
  }
}

const simulated = async (
  scenario: Scenario,
  screen: Screen | undefined,
  signal: AbortSignal,
): Promise<readonly SchedulerResult[]> => {
  const bar = screen === undefined ? undefined : new ProgressBar(screen)
  try {
    return await simulateAll(scenario, {
      threads: availableParallelism(),
      progress: (share) => bar?.show(share),
      signal,
    })
  } finally {
    bar?.clear()
  }
}

const give = async (to: string, text: string, out: (text: string) => void, signal: AbortSignal): Promise<void> => {
  if (to === '-') {
    out(text)
    return
  }
  try {
    await writeFile(to, text, { signal })
  } catch (cause) {
    signal.throwIfAborted()
    throw new FatalError(`cannot write the results: ${describe(cause)}`, cause)
  }
}

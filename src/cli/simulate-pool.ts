import { Worker } from 'node:worker_threads'
import { type Scenario, type SchedulerResult, SimulateError, schedulerLabel } from '../simulate/index.ts'
import type { Answer, Start, Task } from './simulate-worker.ts'

export interface PoolOptions {
  /** At most so many run at once. */
  readonly threads: number
  /** Called now and then with the share of the work that is done, 0 to 1. */
  readonly progress: (share: number) => void
  readonly signal: AbortSignal
}

const pollMs = 100

/**
 * Runs the schedulers of a scenario on threads, which share nothing but where each has got to; so results do not depend on
 * how many there are. In the order of the scenario.
 *
 * @throws SimulateError, and the signal's reason
 */
export const simulateAll = async (
  scenario: Scenario,
  { threads, progress, signal }: PoolOptions,
): Promise<readonly SchedulerResult[]> => {
  const { schedulers, connections } = scenario
  const done = new Int32Array(new SharedArrayBuffer(4 * schedulers.length))
  const results: (SchedulerResult | undefined)[] = schedulers.map(() => undefined)
  let next = 0
  const take = (): number | undefined => (next < schedulers.length ? next++ : undefined)
  const crew = new AbortController()
  const stop = AbortSignal.any([signal, crew.signal])
  const timer = setInterval(() => {
    progress(done.reduce((sum, _, i) => sum + Atomics.load(done, i), 0) / (connections * schedulers.length))
  }, pollMs)
  try {
    const count = Math.max(1, Math.min(threads, schedulers.length))
    await Promise.all(Array.from({ length: count }, () => work({ scenario, done }, take, results, stop)))
  } finally {
    clearInterval(timer)
    // When one has failed the others need not go on.
    crew.abort()
  }
  return results.flatMap((result) => result ?? [])
}

/** One thread, which gets one task after another until none is left. */
const work = (
  start: Start,
  take: () => number | undefined,
  results: (SchedulerResult | undefined)[],
  signal: AbortSignal,
): Promise<void> =>
  new Promise((resolve, reject) => {
    const worker = new Worker(new URL('./simulate-worker.js', import.meta.url), { workerData: start })
    const end = (settle: () => void): void => {
      signal.removeEventListener('abort', abort)
      void worker.terminate()
      settle()
    }
    const abort = (): void => end(() => reject(signal.reason))
    const proceed = (): void => {
      const index = take()
      if (index === undefined) end(resolve)
      else worker.postMessage(index satisfies Task)
    }
    worker.on('message', (answer: Answer) => {
      if (answer.kind === 'refused') {
        end(() => reject(refusal(start.scenario, answer)))
        return
      }
      results[answer.index] = answer.result
      proceed()
    })
    worker.on('error', (error) => end(() => reject(error)))
    worker.on('exit', (status) => end(() => reject(new Error(`a simulation thread ended with ${status}`))))
    signal.addEventListener('abort', abort)
    if (signal.aborted) abort()
    else proceed()
  })

/** Errors lose their class on the way from a thread. */
const refusal = ({ file, schedulers }: Scenario, answer: Answer & { readonly kind: 'refused' }): SimulateError => {
  if (answer.code === 'order') return new SimulateError('order', file, answer.issues)
  const plan = schedulers[answer.index]
  const reason = `${plan === undefined ? 'a scheduler' : schedulerLabel(plan)}: ${answer.message}`
  return new SimulateError('scheduler', file, [{ line: undefined, field: 'servers', reason }])
}

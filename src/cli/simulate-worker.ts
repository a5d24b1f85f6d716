/** A thread of `weir simulate`: gets the numbers of schedulers, one after another, and answers each with a result. */
import { parentPort, workerData } from 'node:worker_threads'
import { SchedulerError } from '../algorithms/index.ts'
import {
  crowdsOf,
  type Scenario,
  type ScenarioIssue,
  type SchedulerResult,
  SimulateError,
  Simulation,
} from '../simulate/index.ts'

/** What a thread starts with. */
export interface Start {
  readonly scenario: Scenario
  /** Shared: how many connections each scheduler has had. */
  readonly done: Int32Array
}

/** Index of a scheduler. */
export type Task = number

export type Answer =
  | { readonly kind: 'result'; readonly index: number; readonly result: SchedulerResult }
  | {
      readonly kind: 'refused'
      readonly index: number
      readonly code: 'order' | 'scheduler'
      readonly message: string
      readonly issues: readonly ScenarioIssue[]
    }

const { scenario, done } = workerData as Start
const crowds = crowdsOf(scenario)

const run = (index: Task): Answer => {
  const plan = scenario.schedulers[index]
  if (plan === undefined) throw new RangeError(`no scheduler ${index}`)
  try {
    const simulation = new Simulation(scenario, plan, crowds)
    const result = simulation.run((connections) => void Atomics.store(done, index, connections))
    Atomics.store(done, index, scenario.connections)
    return { kind: 'result', index, result }
  } catch (error) {
    if (error instanceof SimulateError)
      return { kind: 'refused', index, code: 'order', message: error.message, issues: error.issues }
    if (error instanceof SchedulerError)
      return { kind: 'refused', index, code: 'scheduler', message: error.message, issues: [] }
    throw error
  }
}

parentPort?.on('message', (index: Task) => parentPort?.postMessage(run(index)))

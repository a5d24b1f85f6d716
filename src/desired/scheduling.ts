import { defaultScheduling, type Scheduler, type Scheduling } from '../model/scheduling.ts'

/**
 * What is used where a backend may lack the scheduler: then `random`, without the other's flags. Returns the very
 * object it was given when nothing had to be replaced, so `===` tells whether there is something to report.
 */
export const effectiveScheduling = (scheduling: Scheduling, supported: ReadonlySet<Scheduler>): Scheduling => {
  if (supported.has(scheduling.scheduler)) return scheduling
  const { scheduler, flags } = defaultScheduling
  return { scheduler, flags, weights: scheduling.weights }
}

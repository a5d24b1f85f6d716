import { defaultScheduling, type RequestedScheduling, type Scheduler, type Scheduling } from '../model/scheduling.ts'

/** What is used where a Service names no scheduler, or one that the backend lacks: then `random`, without the other's flags. */
export const effectiveScheduling = (
  { scheduler, flags, weights }: RequestedScheduling,
  supported: ReadonlySet<Scheduler>,
): Scheduling => {
  if (scheduler !== undefined && supported.has(scheduler)) return { scheduler, flags, weights }
  return weights === undefined ? defaultScheduling : { ...defaultScheduling, weights }
}

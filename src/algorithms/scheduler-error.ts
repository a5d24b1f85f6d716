/**
 * `out-of-range`: a weight, threshold or table size that the kernel refuses (ERANGE, EINVAL). `exists`, `not-found`: a
 * server that is already, or not, in the list (EEXIST, ENOENT). `too-many-servers`: more than a Maglev table has slots
 * (EINVAL). `no-source`: this scheduler needs a clock or random numbers and got none.
 */
export type SchedulerErrorCode = 'out-of-range' | 'exists' | 'not-found' | 'too-many-servers' | 'no-source'

/** A scheduler was asked for something that LVS refuses. A pick that finds nobody is no error. */
export class SchedulerError extends Error {
  override readonly name = 'SchedulerError'
  readonly code: SchedulerErrorCode
  /** What was tried: `add`, `weight` … */
  readonly op: string

  constructor(code: SchedulerErrorCode, op: string, message: string, options?: ErrorOptions) {
    super(`${op}: ${message}`, options)
    this.code = code
    this.op = op
  }
}

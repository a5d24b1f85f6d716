/**
 * `missing`: the program is not installed; `locked`: another program kept the xtables lock for too long; `rejected`: the
 * kernel or the program refused the input; `output`: its output could not be read; `io`: it could not be run to its end.
 */
export type IptablesErrorCode = 'missing' | 'locked' | 'rejected' | 'output' | 'io'

export class IptablesError extends Error {
  override readonly name = 'IptablesError'
  readonly code: IptablesErrorCode
  /** The command line. */
  readonly op: string

  constructor(code: IptablesErrorCode, op: string, reason: string, cause?: unknown) {
    super(`${op}: ${reason}`, cause === undefined ? undefined : { cause })
    this.code = code
    this.op = op
  }
}

/**
 * Why a program gave no result. `missing`: no such program; `timeout` and `aborted`: it was killed; `signal`: something
 * else killed it; `io`: it could not be started, or wrote more than was allowed.
 */
export type ExecErrorCode = 'missing' | 'timeout' | 'aborted' | 'signal' | 'io'

export class ExecError extends Error {
  override readonly name = 'ExecError'
  readonly code: ExecErrorCode
  /** The command line, for people; not quoted for a shell. */
  readonly op: string

  constructor(code: ExecErrorCode, op: string, reason: string, cause?: unknown) {
    super(`${op}: ${reason}`, cause === undefined ? undefined : { cause })
    this.code = code
    this.op = op
  }
}

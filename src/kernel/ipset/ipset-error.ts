/**
 * `missing`: the program is not installed; `busy`: the set is in use; `rejected`: refused otherwise; `output`: the
 * program's output could not be read; `io`: it could not be run to its end.
 */
export type IpsetErrorCode = 'missing' | 'busy' | 'rejected' | 'output' | 'io'

export class IpsetError extends Error {
  override readonly name = 'IpsetError'
  readonly code: IpsetErrorCode
  /** The command line. */
  readonly op: string

  constructor(code: IpsetErrorCode, op: string, reason: string, cause?: unknown) {
    super(`${op}: ${reason}`, cause === undefined ? undefined : { cause })
    this.code = code
    this.op = op
  }
}

/**
 * - `missing`: the program is not installed.
 * - `permission`: not root, or CAP_NET_ADMIN or CAP_NET_RAW is missing.
 * - `locked`: another program kept the xtables lock for too long.
 * - `rejected`: the program or the kernel refused the input.
 * - `output`: what the program wrote could not be read.
 * - `io`: it could not be run to its end.
 */
export type IptablesErrorCode = 'missing' | 'permission' | 'locked' | 'rejected' | 'output' | 'io'

export interface IptablesErrorDetail {
  readonly cause?: unknown
  /** 1-based line of the input that was refused. */
  readonly line?: number | undefined
  /** The tag of the statement that was refused. */
  readonly tag?: unknown
}

/** The one error of this folder. After a refusal of a known line, the message goes on with that line and its neighbours. */
export class IptablesError extends Error {
  override readonly name = 'IptablesError'
  readonly code: IptablesErrorCode
  /** The command line. */
  readonly op: string
  /** Undefined unless the program named a line. */
  readonly line: number | undefined
  /** Who that line was for; undefined when it cannot be told. */
  readonly tag: unknown

  constructor(code: IptablesErrorCode, op: string, reason: string, { cause, line, tag }: IptablesErrorDetail = {}) {
    super(`${op}: ${reason}`, cause === undefined ? undefined : { cause })
    this.code = code
    this.op = op
    this.line = line
    this.tag = tag
  }
}

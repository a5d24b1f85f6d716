/**
 * - `exists`, `notFound`: the set.
 * - `busy`: rules or other sets hold it, or someone is reading it.
 * - `full`: no room for another member, or another set.
 * - `typeMismatch`: the set of that name has another type or family.
 * - `unsupported`: this kernel has no ipset, not this type of set, or speaks another protocol.
 * - `permission`: CAP_NET_ADMIN is missing.
 * - `invalid`: the request itself, such as a text that is no member of such a set.
 * - `io`: everything else.
 */
export type IpsetErrorCode =
  | 'exists'
  | 'notFound'
  | 'busy'
  | 'full'
  | 'typeMismatch'
  | 'unsupported'
  | 'permission'
  | 'invalid'
  | 'io'

export interface IpsetErrorFields {
  readonly code: IpsetErrorCode
  /** What was tried on which set: `add WEIR-4-REJECT`. */
  readonly op: string
  /** The member that was refused, as the caller gave it. */
  readonly member?: string | undefined
  readonly reason: string
  readonly cause?: unknown
}

export class IpsetError extends Error {
  override readonly name = 'IpsetError'
  readonly code: IpsetErrorCode
  readonly op: string
  readonly member: string | undefined

  constructor({ code, op, member, reason, cause }: IpsetErrorFields) {
    const subject = member === undefined ? op : `${op}: ${member}`
    super(`${subject}: ${reason}`, cause === undefined ? undefined : { cause })
    this.code = code
    this.op = op
    this.member = member
  }
}

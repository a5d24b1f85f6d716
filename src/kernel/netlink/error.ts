import { constants } from 'node:os'

/**
 * What went wrong, in words that callers act on.
 *
 * - `permission`: CAP_NET_ADMIN is missing, or the object belongs to someone else.
 * - `notFound`, `exists`, `busy`: the object; `busy` also means "still referenced".
 * - `overflow`: the kernel dropped replies or events because the socket buffer was full.
 * - `interrupted`: a dump kept colliding with changes.
 * - `stale`: the ruleset changed since the generation the batch was made for.
 * - `unsupported`, `invalid`, `tooLarge`: the request itself.
 * - `missing`: an external program is not installed.
 * - `malformed`: bytes that are no netlink message, or lack what they must hold.
 * - `io`: everything else.
 */
export type KernelErrorCode =
  | 'permission'
  | 'notFound'
  | 'exists'
  | 'busy'
  | 'overflow'
  | 'interrupted'
  | 'stale'
  | 'unsupported'
  | 'invalid'
  | 'tooLarge'
  | 'missing'
  | 'malformed'
  | 'io'

const codes: Readonly<Record<string, KernelErrorCode>> = {
  EPERM: 'permission',
  EACCES: 'permission',
  ENOENT: 'notFound',
  ESRCH: 'notFound',
  ENODEV: 'notFound',
  EADDRNOTAVAIL: 'notFound',
  EEXIST: 'exists',
  EBUSY: 'busy',
  ENOBUFS: 'overflow',
  EOPNOTSUPP: 'unsupported',
  EAFNOSUPPORT: 'unsupported',
  EPROTONOSUPPORT: 'unsupported',
  ENOSYS: 'unsupported',
  EINVAL: 'invalid',
  ERANGE: 'invalid',
  EMLINK: 'invalid',
  ENODATA: 'invalid',
  EMSGSIZE: 'tooLarge',
}

const names = new Map(Object.entries(constants.errno).map(([name, number]): [number, string] => [number, name]))
// nfnetlink answers a batch for an older generation with it; Node does not list it (asm-generic/errno.h).
const ERESTART = 85

export const errnoName = (errno: number): string =>
  errno === ERESTART ? 'ERESTART' : (names.get(errno) ?? `errno ${errno}`)

export const codeOfErrno = (errno: number): KernelErrorCode =>
  errno === ERESTART ? 'stale' : (codes[errnoName(errno)] ?? 'io')

export interface KernelErrorFields {
  readonly code: KernelErrorCode
  /** What was being done, in a few words: `commit ip weir`, `nft -f -`. */
  readonly op: string
  /** Positive, as errno.h has it. */
  readonly errno?: number | undefined
  /** What the kernel (extended ACK) or the program said. */
  readonly detail?: string | undefined
  /** Where in the request, in bytes from its header, the kernel found the offending attribute. */
  readonly offset?: number | undefined
  /** The tag that the caller gave to the part of the request that failed; undefined when it cannot be told. */
  readonly tag?: unknown
  readonly cause?: unknown
}

/** The one error of the kernel layer. */
export class KernelError extends Error {
  override readonly name = 'KernelError'
  readonly code: KernelErrorCode
  readonly op: string
  readonly errno: number | undefined
  readonly detail: string | undefined
  readonly offset: number | undefined
  readonly tag: unknown

  constructor({ code, op, errno, detail, offset, tag, cause }: KernelErrorFields) {
    const reasons = [errno === undefined ? undefined : errnoName(errno), detail].filter((part) => part !== undefined)
    super(`${op}: ${reasons.length === 0 ? code : reasons.join(': ')}`, cause === undefined ? undefined : { cause })
    this.code = code
    this.op = op
    this.errno = errno
    this.detail = detail
    this.offset = offset
    this.tag = tag
  }

  /** From a positive errno. */
  static ofErrno(op: string, errno: number, more: Omit<KernelErrorFields, 'code' | 'op' | 'errno'> = {}): KernelError {
    return new KernelError({ ...more, code: codeOfErrno(errno), op, errno })
  }

  /** From what `node:fs` and `node:child_process` throw. */
  static ofSystem(op: string, cause: unknown): KernelError {
    const errno = systemErrno(cause)
    return errno === undefined
      ? new KernelError({ code: 'io', op, detail: String(cause), cause })
      : KernelError.ofErrno(op, errno, { cause })
  }
}

/** The positive errno of a Node system error. */
export const systemErrno = (error: unknown): number | undefined =>
  error instanceof Error && 'errno' in error && typeof error.errno === 'number' ? Math.abs(error.errno) : undefined

export const malformed = (detail: string): KernelError =>
  new KernelError({ code: 'malformed', op: 'decode netlink message', detail })

/**
 * `missing`: this kernel has no such parameter, or its module is not loaded; `denied`: no right to it, not from this network
 * namespace, or it is mounted read-only; `rejected`: the kernel refuses the value; `invalid`: what was read is not of the
 * expected form; `io`: everything else.
 */
export type SysctlErrorCode = 'missing' | 'denied' | 'rejected' | 'invalid' | 'io'

export class SysctlError extends Error {
  override readonly name = 'SysctlError'
  readonly code: SysctlErrorCode
  /** `read net/ipv4/ip_forward`, `write net/ipv4/ip_forward = 1` */
  readonly op: string

  constructor(code: SysctlErrorCode, op: string, reason: string, cause?: unknown) {
    super(`${op}: ${reason}`, cause === undefined ? undefined : { cause })
    this.code = code
    this.op = op
  }

  static ofSystem(op: string, cause: unknown): SysctlError {
    const errno = cause instanceof Error && 'code' in cause ? String(cause.code) : ''
    const reason = errno === '' ? String(cause) : errno
    return new SysctlError(codes[errno] ?? 'io', op, reasons[errno] ?? reason, cause)
  }
}

const codes: Readonly<Record<string, SysctlErrorCode>> = {
  ENOENT: 'missing',
  EACCES: 'denied',
  EPERM: 'denied',
  EROFS: 'denied',
  ENOTSUP: 'denied',
  EINVAL: 'rejected',
  ERANGE: 'rejected',
}

/** What helps more than the name of the error. */
const reasons: Readonly<Record<string, string>> = {
  EROFS: 'EROFS, it is mounted read-only',
  ENOTSUP: 'ENOTSUP, only the first network namespace may',
}

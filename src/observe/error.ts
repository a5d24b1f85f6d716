export type ObserveErrorCode = 'portInUse' | 'addressNotAvailable' | 'permission' | 'io'

/** A server that reports on us could not be opened. */
export class ObserveError extends Error {
  override readonly name = 'ObserveError'
  readonly code: ObserveErrorCode
  /** What was tried, e.g. `listen 10.0.0.1:10256`. */
  readonly op: string

  constructor(code: ObserveErrorCode, op: string, cause: unknown) {
    super(`${op}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
    this.code = code
    this.op = op
  }
}

/** The errno name of a Node system error, e.g. `EADDRINUSE`; undefined for any other value. */
export const errnoName = (cause: unknown): string | undefined => {
  if (!(cause instanceof Error) || !('code' in cause)) return undefined
  return typeof cause.code === 'string' ? cause.code : undefined
}

/** bind(2) and listen(2) errors in our words. */
export const listenErrorCode = (cause: unknown): ObserveErrorCode => {
  switch (errnoName(cause)) {
    case 'EADDRINUSE':
      return 'portInUse'
    case 'EADDRNOTAVAIL':
    case 'EAFNOSUPPORT':
      return 'addressNotAvailable'
    case 'EACCES':
    case 'EPERM':
      return 'permission'
    default:
      return 'io'
  }
}

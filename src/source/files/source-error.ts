export type SourceErrorCode = 'missing-directory' | 'not-a-directory' | 'unreadable'

/** A folder of manifests that cannot be read at all. */
export class SourceError extends Error {
  override readonly name = 'SourceError'
  readonly code: SourceErrorCode
  /** What was asked for, e.g. `read the directory /etc/weir`. */
  readonly op: string

  constructor(code: SourceErrorCode, op: string, cause: unknown) {
    super(`${op}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
    this.code = code
    this.op = op
  }
}

/** The errno name of a failed system call, e.g. `ENOENT`. */
export const errorCode = (error: unknown): string =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'unknown'

/** For a directory that is needed from the start. */
export const directoryError = (directory: string, cause: unknown): SourceError => {
  const code = errorCode(cause)
  const kind = code === 'ENOENT' ? 'missing-directory' : code === 'ENOTDIR' ? 'not-a-directory' : 'unreadable'
  return new SourceError(kind, `read the directory ${directory}`, cause)
}

/** What metrics and logs need of an error that a backend threw: `code` and `op` are members of small fixed sets. */
export interface Failure {
  readonly code: string
  readonly op: string
  readonly message: string
}

const codeOf = (error: Error): string | undefined =>
  'code' in error && typeof error.code === 'string' ? error.code : undefined

export const failureOf = (error: unknown): Failure => {
  if (!(error instanceof Error)) return { code: 'unknown', op: 'sync', message: String(error) }
  const op = 'op' in error && typeof error.op === 'string' ? error.op : 'sync'
  return { code: codeOf(error) ?? 'unknown', op, message: error.message }
}

/** Codes by which a kernel says that it will not have what it was given, today or tomorrow. */
const refusals: ReadonlySet<string> = new Set(['invalid', 'exists', 'notFound', 'unsupported', 'tooLarge', 'rejected'])

/**
 * Whether what was to be written is at fault, rather than the moment or the means. An error without a code is one of
 * ours, thrown by a plan that could not be made.
 */
export const isRefusal = (error: unknown, signal: AbortSignal): boolean => {
  if (signal.aborted || !(error instanceof Error)) return false
  const code = codeOf(error)
  return code === undefined || refusals.has(code)
}

/** The part of a write that an error is about, as the backend marked it. */
export const tagOf = (error: unknown): unknown => (error instanceof Error && 'tag' in error ? error.tag : undefined)

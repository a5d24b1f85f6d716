/** What metrics and logs need of an error that a backend threw: `code` and `op` are members of small fixed sets. */
export interface Failure {
  readonly code: string
  readonly op: string
  readonly message: string
}

export const failureOf = (error: unknown): Failure => {
  if (!(error instanceof Error)) return { code: 'unknown', op: 'sync', message: String(error) }
  const code = 'code' in error && typeof error.code === 'string' ? error.code : 'unknown'
  const op = 'op' in error && typeof error.op === 'string' ? error.op : 'sync'
  return { code, op, message: error.message }
}

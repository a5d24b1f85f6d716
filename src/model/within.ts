/**
 * Runs `work` with a signal that fires when `signal` does, with its reason, or after `ms` with a TimeoutError. Node 20 may
 * collect an AbortSignal.timeout that only an AbortSignal.any holds, and then it never fires.
 */
export const within = async <T>(
  ms: number,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> => {
  const either = new AbortController()
  const onAbort = (): void => either.abort(signal.reason)
  const timer = setTimeout(
    () => either.abort(new DOMException('The operation was aborted due to timeout', 'TimeoutError')),
    ms,
  )
  signal.addEventListener('abort', onAbort, { once: true })
  if (signal.aborted) onAbort()
  try {
    return await work(either.signal)
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', onAbort)
  }
}

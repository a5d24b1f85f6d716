export interface BackoffOptions {
  /** Upper bound of the first delay, milliseconds. */
  readonly baseMs: number
  /** Upper bound of every delay, milliseconds. */
  readonly capMs: number
}

export interface Backoff {
  /** The next delay in milliseconds. */
  next(): number
  reset(): void
}

/**
 * Exponential backoff with full jitter: uniform in [0, min(cap, base * 2^n)). Thousands of nodes lose the same API
 * server in the same instant; a delay that only varies a little would bring them all back together.
 *
 * @param random uniform in [0, 1)
 */
export const createBackoff = ({ baseMs, capMs }: BackoffOptions, random: () => number): Backoff => {
  let bound = baseMs
  return {
    next: () => {
      const delay = random() * Math.min(bound, capMs)
      bound = Math.min(bound * 2, capMs)
      return delay
    },
    reset: () => {
      bound = baseMs
    },
  }
}

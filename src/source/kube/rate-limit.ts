import type { Clock } from './clock.ts'

export interface RateLimit {
  /** Waits for its turn, in the order of the calls. */
  take(signal: AbortSignal): Promise<void>
}

/** `clientConnection.qps` and `.burst`; `qps` <= 0 means unlimited. */
export interface RateLimitOptions {
  readonly qps: number
  readonly burst: number
}

/** A token bucket that starts full. A caller in debt waits until its own token has dripped in, so turns stay in order. */
export const createRateLimit = ({ qps, burst }: RateLimitOptions, clock: Clock): RateLimit => {
  const size = Math.max(1, burst)
  let tokens = size
  let filledAt = clock.now()
  return {
    take: async (signal) => {
      if (qps <= 0) return
      const now = clock.now()
      tokens = Math.min(size, tokens + (Math.max(0, now - filledAt) / 1000) * qps)
      filledAt = now
      tokens -= 1
      if (tokens < 0) await clock.sleep((-tokens / qps) * 1000, signal)
    },
  }
}

export interface PacingOptions {
  /** Least time between the end of one sync and the start of the next; 0 = none. Only when the user asked for it. */
  readonly minSyncPeriodMs: number
  /** A failed sync is tried again after at most this. */
  readonly syncPeriodMs: number
  /** A number in [0, 1): spreads the retries of many nodes. */
  readonly random: () => number
}

const firstRetryMs = 50

/** When the next sync may start. Pure bookkeeping in monotonic milliseconds. */
export class Pacing {
  readonly #options: PacingOptions
  #failures = 0
  #notBefore = 0

  constructor(options: PacingOptions) {
    this.#options = options
  }

  /** Milliseconds to wait at `now`; 0 = go. */
  delay(now: number): number {
    return Math.max(0, this.#notBefore - now)
  }

  succeeded(now: number): void {
    this.#failures = 0
    this.#notBefore = now + this.#options.minSyncPeriodMs
  }

  /** Doubles from 50 ms up to the sync period, less a random part of up to a fifth. Returns the delay. */
  failed(now: number): number {
    const { syncPeriodMs, minSyncPeriodMs, random } = this.#options
    const backoff = Math.min(syncPeriodMs, firstRetryMs * 2 ** Math.min(this.#failures, 20))
    this.#failures++
    const delay = Math.max(minSyncPeriodMs, backoff * (1 - random() / 5))
    this.#notBefore = now + delay
    return delay
  }

  get failing(): boolean {
    return this.#failures > 0
  }
}

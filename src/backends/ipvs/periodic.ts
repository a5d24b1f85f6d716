/** Time as the backend sees it. */
export interface Timers {
  /** Milliseconds from a fixed point; never goes back. */
  monotonic(): number
  /** Resolves after `ms`, or at once when `signal` fires; keeps no process alive. */
  sleep(ms: number, signal: AbortSignal): Promise<void>
}

export interface PeriodicOptions {
  readonly timers: Timers
  readonly everyMs: number
  /** `again`: there is more to do later. Rejections go to `onError`, and it is tried again. */
  readonly work: (signal: AbortSignal) => Promise<'again' | 'done'>
  readonly onError: (error: unknown) => void
}

/** Work may take one part in so many of the time. */
const shareOfTime = 200

/** Does something every so often, for as long as there is something to do; more seldom when it takes long. */
export class Periodic {
  readonly #options: PeriodicOptions
  readonly #life = new AbortController()
  #sleep: AbortController | undefined
  #running = false
  #soon = false

  constructor(options: PeriodicOptions) {
    this.#options = options
  }

  /** There is something to do, but not yet. */
  start(): void {
    if (!this.#running) void this.#run()
  }

  /** There is something to do now. */
  wake(): void {
    this.#soon = true
    this.#sleep?.abort()
    this.start()
  }

  close(): void {
    this.#life.abort()
    this.#sleep?.abort()
  }

  async #run(): Promise<void> {
    const { timers, everyMs, work, onError } = this.#options
    const { signal } = this.#life
    this.#running = true
    let pauseMs = everyMs
    for (;;) {
      if (!this.#soon) await this.#pause(pauseMs)
      if (signal.aborted) break
      this.#soon = false
      const start = timers.monotonic()
      try {
        if ((await work(signal)) === 'done' && !this.#soon) break
      } catch (error) {
        if (signal.aborted) break
        onError(error)
      }
      pauseMs = Math.max(everyMs, (timers.monotonic() - start) * shareOfTime)
    }
    this.#running = false
  }

  async #pause(ms: number): Promise<void> {
    this.#sleep = new AbortController()
    await this.#options.timers.sleep(ms, this.#sleep.signal)
    this.#sleep = undefined
  }
}

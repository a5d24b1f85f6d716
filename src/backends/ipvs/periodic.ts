import type { Serial } from './serial.ts'

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
  /** What it takes turns with. */
  readonly serial: Serial
  /** `again`: there is more to do later. Rejections go to `onError`, and it is tried again. */
  readonly work: (signal: AbortSignal) => Promise<'again' | 'done'>
  readonly onError: (error: unknown) => void
}

/** Work is to take one part in so many of the time, */
const usualShare = 200
/** but is not put off for longer than this, unless it would take one part in so many then. */
const longestMs = 5_000
const largestShare = 20
/** What it took so many times is looked at: a process that had to wait for a processor did not work for longer. */
const remembered = 4

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
    const { everyMs, onError } = this.#options
    const { signal } = this.#life
    this.#running = true
    let pauseMs = everyMs
    let took: readonly number[] = []
    for (;;) {
      if (!this.#soon) await this.#pause(pauseMs)
      if (signal.aborted) break
      this.#soon = false
      try {
        const { result, tookMs } = await this.#turn(signal)
        if (result === 'done' && !this.#soon) break
        took = [...took, tookMs].slice(-remembered)
        pauseMs = pauseAfter(Math.min(...took), everyMs)
      } catch (error) {
        if (signal.aborted) break
        pauseMs = everyMs
        onError(error)
      }
    }
    this.#running = false
  }

  /** Waiting for its turn costs nothing. */
  #turn(signal: AbortSignal): Promise<{ readonly result: 'again' | 'done'; readonly tookMs: number }> {
    const { timers, work, serial } = this.#options
    return serial.run(async () => {
      const start = timers.monotonic()
      const result = await work(signal)
      return { result, tookMs: timers.monotonic() - start }
    })
  }

  async #pause(ms: number): Promise<void> {
    this.#sleep = new AbortController()
    await this.#options.timers.sleep(ms, this.#sleep.signal)
    this.#sleep = undefined
  }
}

const pauseAfter = (tookMs: number, everyMs: number): number =>
  Math.max(everyMs, Math.min(tookMs * usualShare, Math.max(longestMs, tookMs * largestShare)))

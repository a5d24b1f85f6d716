import { setImmediate } from 'node:timers/promises'
import type { Clock } from '../../src/sync/clock.ts'

interface Sleeper {
  readonly due: number
  readonly wake: () => void
}

/** Lets everything run that waits for nothing but its turn. */
export const settle = async (): Promise<void> => {
  for (let i = 0; i < 20; i++) await setImmediate()
}

/** Time that passes only when the test says so. */
export class TestClock implements Clock {
  #time = 1000
  #sleepers: readonly Sleeper[] = []
  /** How often somebody went to sleep. */
  slept = 0

  now(): number {
    return 1_700_000_000_000 + this.#time
  }

  monotonic(): number {
    return this.#time
  }

  sleep(ms: number, signal: AbortSignal): Promise<void> {
    this.slept++
    return new Promise((resolve) => {
      if (signal.aborted) {
        resolve()
        return
      }
      const sleeper: Sleeper = {
        due: this.#time + ms,
        wake: () => {
          this.#sleepers = this.#sleepers.filter((each) => each !== sleeper)
          resolve()
        },
      }
      this.#sleepers = [...this.#sleepers, sleeper]
      signal.addEventListener('abort', sleeper.wake, { once: true })
    })
  }

  /** Passes `ms`, and wakes whoever is due on the way at their very moment. */
  async advance(ms: number): Promise<void> {
    const end = this.#time + ms
    await settle()
    for (;;) {
      const next = this.#sleepers.filter(({ due }) => due <= end).sort((a, b) => a.due - b.due)[0]
      if (next === undefined) break
      this.#time = Math.max(this.#time, next.due)
      next.wake()
      await settle()
    }
    this.#time = end
    await settle()
  }
}

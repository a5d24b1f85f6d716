import type { Clock } from '../../../../src/observe/clock.ts'

/** A clock that stands still until told. Both readings move together; the date can also jump alone. */
export class FakeClock implements Clock {
  #date: number
  #elapsed = 0

  constructor(date: string) {
    this.#date = Date.parse(date)
  }

  now(): number {
    return this.#date
  }

  monotonic(): number {
    return this.#elapsed
  }

  advance(ms: number): void {
    this.#date += ms
    this.#elapsed += ms
  }

  /** Somebody sets the date. */
  jump(ms: number): void {
    this.#date += ms
  }
}

import { performance } from 'node:perf_hooks'

/** Two clocks: one for what people read, one for how long something took. */
export interface Clock {
  /** Milliseconds since the epoch. May jump. */
  now(): number
  /** Milliseconds since some fixed moment. Never goes back, whatever happens to the date. */
  monotonic(): number
}

export const systemClock: Clock = { now: () => Date.now(), monotonic: () => performance.now() }

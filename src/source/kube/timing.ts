import type { BackoffOptions } from './backoff.ts'

/** The patience of a reflector; all in milliseconds. */
export interface ReflectorTiming {
  readonly backoff: BackoffOptions
  /** A watch is asked to last between this and twice this, at random, so that they do not all end together. */
  readonly watchMs: number
  /** A watch that stays silent for this much longer than it was to last is dead. */
  readonly graceMs: number
  /** A watch that ends earlier than this and brought nothing is a failure, not a rotation. */
  readonly shortestMs: number
  /** A watch that lived this long proves the server well: the backoff starts anew. */
  readonly settledMs: number
  /** How often an absent optional resource is looked for. */
  readonly absentMs: number
}

/** As in client-go (tools/cache/reflector.go), where it has the same notion. */
export const defaultTiming: ReflectorTiming = {
  backoff: { baseMs: 800, capMs: 30_000 },
  watchMs: 300_000,
  graceMs: 30_000,
  shortestMs: 1000,
  settledMs: 10_000,
  absentMs: 300_000,
}

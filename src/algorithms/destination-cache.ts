import type { IP } from '../model/ip.ts'
import { foldToInt, hash32 } from './hash.ts'

/** What is remembered about a destination address. */
export interface CacheEntry<Value> {
  readonly destination: IP
  readonly folded: number
  value: Value
  /** Seconds, by the scheduler's clock. */
  lastUse: number
  /** The next entry of its bucket. */
  next: CacheEntry<Value> | undefined
}

/** How often the kernel's timer looks for stale entries, in seconds (CHECK_EXPIRE_INTERVAL). */
export const tickSeconds = 60

/** Every so many ticks without a partial collection, all entries are looked at (COUNT_FOR_FULL_EXPIRATION): half an hour. */
const ticksToFullCheck = 30
/** An entry that was idle for so long may go when the table is full (ENTRY_TIMEOUT). */
const idleSeconds = 6 * 60
const bits = 10
const buckets = 2 ** bits
/** Beyond it entries are collected; half of it at most at a time. */
const maxSize = buckets * 16

/** Linux 6.1.191 and later learn no destination beyond this. */
export const defaultCacheLimit = (maxSize * 3) / 2

/**
 * Destination address → what lblc or lblcr remembers of it: 1024 chains, hashed as in ip_vs_lblc.c and ip_vs_lblcr.c. An
 * entry is allocated when a destination is new; everything else allocates nothing.
 */
export class DestinationCache<Value> {
  readonly #chains: (CacheEntry<Value> | undefined)[]
  readonly #expiration: number
  readonly #limit: number
  #entries = 0
  /** The bucket at which the last collection stopped. */
  #rover = 0
  #counter = 1

  /** `expiration`: seconds for which an unused entry is kept. `limit`: entries from which nothing new is learnt. */
  constructor(expiration: number, limit: number) {
    this.#chains = new Array<CacheEntry<Value> | undefined>(buckets).fill(undefined)
    this.#expiration = expiration
    this.#limit = limit
  }

  get size(): number {
    return this.#entries
  }

  get(destination: IP): CacheEntry<Value> | undefined {
    const folded = foldToInt(destination)
    for (let entry = this.#chains[hash32(folded, bits)]; entry !== undefined; entry = entry.next)
      if (entry.folded === folded && entry.destination === destination) return entry
    return undefined
  }

  /** Whether another destination may be learnt. */
  get hasRoom(): boolean {
    return this.#entries < this.#limit
  }

  /** Learns a destination that is not known yet. The caller has looked whether there is room. */
  learn(destination: IP, value: Value, now: number): void {
    const folded = foldToInt(destination)
    const bucket = hash32(folded, bits)
    this.#chains[bucket] = { destination, folded, value, lastUse: now, next: this.#chains[bucket] }
    this.#entries++
  }

  /** The timer's work (ip_vs_lblc_check_expire): a full check, a partial one when there are too many entries, or nothing. */
  tick(now: number): void {
    if (this.#counter % ticksToFullCheck === 0) {
      this.#collect(now, this.#expiration, Number.POSITIVE_INFINITY)
      this.#counter = 1
    } else if (this.#entries <= maxSize) this.#counter++
    else {
      const goal = Math.min(Math.trunc(((this.#entries - maxSize) * 4) / 3), maxSize / 2)
      this.#collect(now, idleSeconds, goal)
    }
  }

  /** Drops what was idle for so long, bucket after bucket from the rover on, until it is `goal` entries or more. */
  #collect(now: number, idle: number, goal: number): void {
    let left = goal
    let bucket = this.#rover
    for (let i = 0; i < buckets && left > 0; i++) {
      bucket = (bucket + 1) % buckets
      left -= this.#sweep(bucket, now, idle)
    }
    this.#rover = bucket
  }

  /** Returns how many entries of the bucket it dropped. */
  #sweep(bucket: number, now: number, idle: number): number {
    const before = this.#entries
    let kept: CacheEntry<Value> | undefined
    for (let entry = this.#chains[bucket]; entry !== undefined; entry = entry.next) {
      if (now < entry.lastUse + idle) {
        if (kept === undefined) this.#chains[bucket] = entry
        else kept.next = entry
        kept = entry
      } else this.#entries--
    }
    if (kept === undefined) this.#chains[bucket] = undefined
    else kept.next = undefined
    return before - this.#entries
  }
}

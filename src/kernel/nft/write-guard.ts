import type { NftClient } from './client.ts'

/** What is told of our own big writes: it need not follow them event by event. */
export interface Pausable {
  pause(): void
  resume(): void
}

/** Above this many bytes a commit's own events would flood the monitor's socket. */
const bigBatch = 256 * 1024

/**
 * Tells whether somebody else may have written to our tables, without listing them. The kernel counts transactions: if
 * each of ours moved the ruleset's generation by exactly one, nobody came between. What happens outside our writes, the
 * monitor sees, if there is one; without it, any other transaction is a suspicion. Shared by both families.
 */
export class WriteGuard {
  readonly #client: NftClient
  readonly #monitor: Pausable | undefined
  #expected: number | undefined
  readonly #suspicious = new Set<string>()
  readonly #tables = new Set<string>()

  constructor(client: NftClient, monitor?: Pausable) {
    this.#client = client
    this.#monitor = monitor
  }

  /** Runs one transaction of ours, of about `bytes` bytes. */
  async write<T>(bytes: number, transaction: () => Promise<T>, signal: AbortSignal): Promise<T> {
    const big = bytes > bigBatch
    const unwatched = big || this.#monitor === undefined
    const before = this.#lookForOthers(signal)
    if (big) this.#monitor?.pause()
    try {
      const result = await transaction()
      const after = this.#client.generation(signal)
      // A transaction that changes nothing does not count.
      if (unwatched && (after - before) >>> 0 > 1) this.suspect()
      this.#expected = after
      return result
    } finally {
      if (big) this.#monitor?.resume()
    }
  }

  /** Every table has to be compared before it is trusted again. */
  suspect(): void {
    for (const table of this.#tables) this.#suspicious.add(table)
  }

  /** `table` is about to be compared with the kernel: what is written from now on counts. */
  compared(table: string, signal: AbortSignal): void {
    this.#expected = this.#lookForOthers(signal)
    this.#tables.add(table)
    this.#suspicious.delete(table)
  }

  untouched(table: string, signal: AbortSignal): boolean {
    this.#lookForOthers(signal)
    return !this.#suspicious.has(table)
  }

  /** Returns the generation; without a monitor it says whether somebody has written since our last look. */
  #lookForOthers(signal: AbortSignal): number {
    const generation = this.#client.generation(signal)
    if (this.#monitor === undefined && this.#expected !== undefined && generation !== this.#expected) this.suspect()
    return generation
  }
}

import type { NftClient } from '../../kernel/nft/client.ts'

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
    const before = this.#client.generation(signal)
    if (this.#monitor === undefined && this.#expected !== undefined && before !== this.#expected) this.suspect()
    if (big) this.#monitor?.pause()
    try {
      const result = await transaction()
      const after = this.#client.generation(signal)
      if (big && after !== before + 1) this.suspect()
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
    this.#tables.add(table)
    this.#suspicious.delete(table)
    this.#expected = this.#client.generation(signal)
  }

  untouched(table: string, signal: AbortSignal): boolean {
    if (this.#monitor === undefined && this.#client.generation(signal) !== this.#expected) this.suspect()
    return !this.#suspicious.has(table)
  }
}

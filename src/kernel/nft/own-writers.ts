/** Milliseconds that a finished writer is still known: longer than a monitor needs to read its events. */
const grace = 5000

/**
 * Who writes to nf_tables on our behalf: the netlink port ids of our sockets, and of `nft` processes that we start (a
 * program's first netlink socket gets its process id). The client keeps it, the monitor asks it.
 */
export class OwnWriters {
  readonly #ids = new Map<number, number>()
  #commits = 0

  add(id: number): void {
    this.#ids.set(id, Number.POSITIVE_INFINITY)
  }

  /** It writes no more, but its events may still be waiting. */
  release(id: number): void {
    const now = performance.now()
    this.#ids.set(id, now + grace)
    for (const [other, until] of this.#ids) if (until < now) this.#ids.delete(other)
  }

  has(id: number): boolean {
    const until = this.#ids.get(id)
    return until !== undefined && performance.now() <= until
  }

  /** Counts a batch that was committed: each advances the ruleset's generation by one. */
  committed(): void {
    this.#commits++
  }

  get commits(): number {
    return this.#commits
  }
}

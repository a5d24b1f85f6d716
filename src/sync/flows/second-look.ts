/** An answer that takes longer to come is one that nobody waits for. */
const firstPauseMs = 1_000
const mostPauseMs = 60_000

/**
 * When entries are to be looked through once more after stale ones were deleted: a packet that was on its way then may
 * have made another. Again and again, ever more rarely, until a look finds nothing. Times are monotonic milliseconds.
 */
export class SecondLook {
  #due = Number.POSITIVE_INFINITY
  #pauseMs = firstPauseMs

  /** Infinity: there is no need of one. */
  get due(): number {
    return this.#due
  }

  /** A look for whatever reason, which has deleted so many. */
  looked({ from, to, deleted }: { readonly from: number; readonly to: number; readonly deleted: number }): void {
    const wasDue = this.#due <= from
    if (deleted > 0) {
      this.#pauseMs = wasDue ? Math.min(mostPauseMs, 2 * this.#pauseMs) : firstPauseMs
      this.#due = to + this.#pauseMs
    } else if (wasDue) this.#due = Number.POSITIVE_INFINITY
  }
}

/** Which byte ranges of a buffer belong to which tag: each mark reaches up to the next. */
export class Marks {
  readonly #offsets: number[] = []
  readonly #tags: unknown[] = []

  /** What is written from `offset` on belongs to `tag`. Offsets never decrease. */
  add(offset: number, tag: unknown): void {
    if (this.#tags.length > 0 && this.#tags[this.#tags.length - 1] === tag) return
    this.#offsets.push(offset)
    this.#tags.push(tag)
  }

  /** The tag of one byte; undefined before the first mark. */
  at(offset: number): unknown {
    return this.#tags[this.#before(offset)]
  }

  /** The tag of all bytes from `start` up to `end`; undefined when they have several. */
  across(start: number, end: number): unknown {
    const first = this.#before(start)
    return first === this.#before(end - 1) ? this.#tags[first] : undefined
  }

  /** Index of the last mark at or before a byte; -1 if there is none. */
  #before(at: number): number {
    let low = 0
    let high = this.#offsets.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#offsets[middle] ?? 0) <= at) low = middle + 1
      else high = middle
    }
    return low - 1
  }
}

/** First in, first out: pairs of numbers in one flat array that grows. */
export class Ring {
  #cells: Float64Array
  #head = 0
  #size = 0

  /** `room`: pairs, a power of two. */
  constructor(room = 16) {
    this.#cells = new Float64Array(2 * room)
  }

  get size(): number {
    return this.#size
  }

  /** The first number of the oldest pair; Infinity when there is none. */
  get first(): number {
    return this.#size === 0 ? Number.POSITIVE_INFINITY : (this.#cells[this.#head] ?? 0)
  }

  /** The second number of the oldest pair, of which there must be one. */
  get second(): number {
    return this.#cells[this.#head + 1] ?? 0
  }

  push(first: number, second: number): void {
    if (2 * this.#size === this.#cells.length) this.#grow()
    const at = (this.#head + 2 * this.#size++) & (this.#cells.length - 1)
    this.#cells[at] = first
    this.#cells[at + 1] = second
  }

  /** Drops the oldest pair. */
  shift(): void {
    this.#head = (this.#head + 2) & (this.#cells.length - 1)
    this.#size--
  }

  clear(): void {
    this.#size = 0
  }

  #grow(): void {
    const wider = new Float64Array(2 * this.#cells.length)
    wider.set(this.#cells.subarray(this.#head))
    wider.set(this.#cells.subarray(0, this.#head), this.#cells.length - this.#head)
    this.#cells = wider
    this.#head = 0
  }
}

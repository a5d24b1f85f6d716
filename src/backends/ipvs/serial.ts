/** Runs one thing after the other. */
export class Serial {
  #last: Promise<unknown> = Promise.resolve()
  #waiting = 0

  /** Somebody waits for what runs now to end. */
  get contended(): boolean {
    return this.#waiting > 0
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    const before = this.#last
    this.#waiting++
    const result = (async () => {
      await before.catch(() => {})
      this.#waiting--
      return await work()
    })()
    this.#last = result
    return await result
  }
}

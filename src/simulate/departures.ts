/** What is due first: a heap with four children to a node in two flat arrays, half as deep as a binary one. */
export class Departures {
  #times = new Float64Array(1024)
  #slots = new Int32Array(1024)
  #size = 0

  get size(): number {
    return this.#size
  }

  /** When the first is due; Infinity when there is none. */
  get first(): number {
    return this.#size === 0 ? Number.POSITIVE_INFINITY : (this.#times[0] ?? 0)
  }

  push(time: number, slot: number): void {
    if (this.#size === this.#times.length) this.#grow()
    const times = this.#times
    const slots = this.#slots
    let at = this.#size++
    while (at > 0) {
      const parent = (at - 1) >> 2
      const above = times[parent] ?? 0
      if (above <= time) break
      times[at] = above
      slots[at] = slots[parent] ?? 0
      at = parent
    }
    times[at] = time
    slots[at] = slot
  }

  /** Takes the first one out, of which there must be one, and returns its slot. */
  pop(): number {
    const times = this.#times
    const slots = this.#slots
    const first = slots[0] ?? 0
    const size = --this.#size
    const time = times[size] ?? 0
    const slot = slots[size] ?? 0
    let at = 0
    for (;;) {
      let child = 4 * at + 1
      if (child >= size) break
      const end = Math.min(child + 4, size)
      let least = times[child] ?? 0
      for (let other = child + 1; other < end; other++) {
        const candidate = times[other] ?? 0
        if (candidate < least) {
          least = candidate
          child = other
        }
      }
      if (least >= time) break
      times[at] = least
      slots[at] = slots[child] ?? 0
      at = child
    }
    times[at] = time
    slots[at] = slot
    return first
  }

  #grow(): void {
    const times = new Float64Array(2 * this.#times.length)
    times.set(this.#times)
    this.#times = times
    const slots = new Int32Array(2 * this.#slots.length)
    slots.set(this.#slots)
    this.#slots = slots
  }
}

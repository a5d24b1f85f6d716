/** How uneven some numbers are, none of them negative. */
export class Spread {
  #count = 0
  #sum = 0
  #squares = 0
  #max = 0

  clear(): void {
    this.#count = 0
    this.#sum = 0
    this.#squares = 0
    this.#max = 0
  }

  add(value: number): void {
    this.#count++
    this.#sum += value
    this.#squares += value * value
    if (value > this.#max) this.#max = value
  }

  /** 1 when all are alike; undefined when all are 0. */
  get maxOverMean(): number | undefined {
    return this.#sum === 0 ? undefined : (this.#max * this.#count) / this.#sum
  }

  /** Coefficient of variation: standard deviation / mean. */
  get cv(): number | undefined {
    if (this.#sum === 0) return undefined
    const mean = this.#sum / this.#count
    return Math.sqrt(Math.max(0, this.#squares / this.#count - mean * mean)) / mean
  }
}

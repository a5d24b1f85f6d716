import type { RandomStream } from './random-stream.ts'

/** Draws 0 to n - 1 with given weights in O(1): Walker's alias method, built as Vose does. */
export class AliasTable {
  readonly #keep: Float64Array
  readonly #other: Uint32Array

  /** `weights`: above 0. */
  constructor(weights: Float64Array) {
    const n = weights.length
    const mean = weights.reduce((sum, weight) => sum + weight, 0) / n
    this.#keep = weights.map((weight) => weight / mean)
    this.#other = Uint32Array.from(weights, (_, i) => i)
    const small: number[] = []
    const large: number[] = []
    this.#keep.forEach((share, i) => {
      if (share < 1) small.push(i)
      else large.push(i)
    })
    for (;;) {
      const poor = small.pop()
      const rich = large.pop()
      if (poor === undefined || rich === undefined) {
        // Rounding may leave one side over; its shares are 1 but for that.
        for (const i of [
          ...small,
          ...large,
          ...(poor === undefined ? [] : [poor]),
          ...(rich === undefined ? [] : [rich]),
        ])
          this.#keep[i] = 1
        return
      }
      this.#other[poor] = rich
      const left = (this.#keep[rich] ?? 0) + (this.#keep[poor] ?? 0) - 1
      this.#keep[rich] = left
      if (left < 1) small.push(rich)
      else large.push(rich)
    }
  }

  draw(stream: RandomStream): number {
    const i = stream.below(this.#keep.length)
    return stream.next() / 2 ** 32 < (this.#keep[i] ?? 0) ? i : (this.#other[i] ?? 0)
  }
}

/** Weights 1, 1 / 2^skew, 1 / 3^skew …; skew 0 makes all alike. */
export const zipfWeights = (number: number, skew: number): Float64Array =>
  Float64Array.from({ length: number }, (_, i) => (i + 1) ** -skew)

/**
 * Weights by value, for quantiles of any number of values in little room: 128 bins for each power of two, so a quantile is
 * off by less than 0.4 %, and whole numbers below 256 are exact.
 */
export class Histogram {
  readonly #least: number
  readonly #firstBin: number
  #bins = new Float64Array(256)
  #total = 0
  #sum = 0
  #max = 0
  #zero = 0

  /** `least`: the smallest value besides 0, a power of two; what is below counts as 0. */
  constructor(least: number) {
    this.#least = least
    this.#firstBin = binOf(least)
  }

  add(value: number, weight = 1): void {
    this.#total += weight
    this.#sum += value * weight
    if (value > this.#max) this.#max = value
    if (value < this.#least) {
      this.#zero += weight
      return
    }
    const bin = binOf(value) - this.#firstBin
    if (bin >= this.#bins.length) this.#grow(bin)
    this.#bins[bin] = (this.#bins[bin] ?? 0) + weight
  }

  get total(): number {
    return this.#total
  }

  get max(): number {
    return this.#max
  }

  /** 0 when nothing was added. */
  get mean(): number {
    return this.#total === 0 ? 0 : this.#sum / this.#total
  }

  /** The smallest value that this share of the weight does not exceed; the middle of its bin. 0 when nothing was added. */
  quantile(share: number): number {
    const wanted = share * this.#total
    let seen = this.#zero
    if (seen >= wanted) return 0
    for (let bin = 0; bin < this.#bins.length; bin++) {
      seen += this.#bins[bin] ?? 0
      if (seen >= wanted) return Math.min(this.#max, middle(bin + this.#firstBin))
    }
    return this.#max
  }

  #grow(bin: number): void {
    const wider = new Float64Array(Math.max(bin + 1, this.#bins.length * 2))
    wider.set(this.#bins)
    this.#bins = wider
  }
}

const double = new Float64Array(1)
const words = new Uint32Array(double.buffer)
double[0] = 1
/** Which of the two words holds the exponent on this machine. */
const high = words[1] === 0 ? 0 : 1

/** Exponent and the first 7 bits of the mantissa. */
const binOf = (value: number): number => {
  double[0] = value
  return (words[high] ?? 0) >>> 13
}

/** The 8th bit of the mantissa is half a bin. */
const middle = (bin: number): number => {
  words[1 - high] = 0
  words[high] = ((bin << 1) | 1) << 12
  return double[0] ?? 0
}

/**
 * Random numbers for one purpose, so that drawing more for another does not change these. sfc32 (Chris Doty-Humphrey,
 * PractRand), which has a period beyond 2^32 and passes its tests, unlike generators with 32 bits of state.
 */
export class RandomStream {
  #a: number
  #b: number
  #c: number
  #counter = 1

  /** `seed`: 32 bits; `purpose`: any number, one for each stream. */
  constructor(seed: number, purpose: number) {
    this.#a = mixed(seed)
    this.#b = mixed(this.#a ^ purpose)
    this.#c = mixed(this.#b ^ seed)
    for (let i = 0; i < 20; i++) this.next()
  }

  /** 0 to 2^32 - 1. */
  next(): number {
    const sum = (((this.#a + this.#b) | 0) + this.#counter) | 0
    this.#counter = (this.#counter + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0
    return sum >>> 0
  }

  /** Above 0 and below 1, so that its logarithm is finite. */
  uniform(): number {
    return (this.next() + 0.5) / 2 ** 32
  }

  /** 0 to `count` - 1. */
  below(count: number): number {
    return Math.floor((this.next() / 2 ** 32) * count)
  }
}

/** So that seeds in a row have nothing in common (the finalizer of MurmurHash3). */
const mixed = (value: number): number => {
  let x = (value + 0x9e3779b9) | 0
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b)
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35)
  return x ^ (x >>> 16)
}

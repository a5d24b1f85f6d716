import { type Cidr, cidrBits, cidrFamily, cidrRange, maxBits } from '../model/cidr.ts'
import { type IP, readIP } from '../model/ip.ts'
import { AliasTable, zipfWeights } from './alias-table.ts'
import type { RandomStream } from './random-stream.ts'
import type { Population } from './scenario.ts'

/** Some thousand addresses to draw from, made once for all schedulers. */
export class Crowd {
  readonly addresses: readonly IP[]
  readonly #table: AliasTable | undefined

  constructor({ number, skew, addresses }: Population, seed: number) {
    const place = addressPlan(addresses, seed)
    this.addresses = Array.from({ length: number }, (_, i) => place(i))
    this.#table = skew === 0 ? undefined : new AliasTable(zipfWeights(number, skew))
  }

  /** An index into `addresses`. */
  draw(stream: RandomStream): number {
    if (this.#table !== undefined) return this.#table.draw(stream)
    return this.addresses.length === 1 ? 0 : stream.below(this.addresses.length)
  }
}

/** How many addresses a population may have in that range: the last 32 bits vary at most. */
export const addressesIn = (cidr: Cidr): number => 2 ** hostBits(cidr)

const hostBits = (cidr: Cidr): number => Math.min(32, maxBits(cidrFamily(cidr)) - cidrBits(cidr))

/** Index → address, no two alike, scattered over the range: neighbours would suit multiplicative hashing too well. */
const addressPlan = (cidr: Cidr, seed: number): ((index: number) => IP) => {
  const bits = hostBits(cidr)
  const family = cidrFamily(cidr)
  const { first } = cidrRange(cidr)
  const bytes = first.slice()
  const view = new DataView(bytes.buffer, bytes.length - 4)
  const network = view.getUint32(0)
  return (index) => {
    view.setUint32(0, (network | scatter(index, bits, seed)) >>> 0)
    return readIP(family, bytes, 0)
  }
}

/** A bijection of the numbers of `bits` bits: adding, multiplying by odd numbers and folding down are each one. */
const scatter = (index: number, bits: number, seed: number): number => {
  const mask = bits === 32 ? -1 : 2 ** bits - 1
  const half = Math.max(1, bits >> 1)
  let mixed = (index + seed) & mask
  for (const odd of [0x9e3779b1, 0x85ebca6b, 0xc2b2ae35]) {
    mixed = Math.imul(mixed, odd) & mask
    mixed ^= (mixed & mask) >>> half
  }
  return mixed & mask
}

import { type IP, writeIP } from '../model/ip.ts'

/** Both halves of the 128-bit keys in net/netfilter/ipvs/ip_vs_mh.c, hash1 and hash2. */
const hash1Key = 2654435761
const hash2Key = 2654446892

const scratch = new Uint8Array(16)

/** An address as one 32-bit number: IPv4 in host order, IPv6 the xor of its four words (ip_vs_mh_hashkey). */
export const foldAddress = (ip: IP): number => {
  const length = ip.includes(':') ? 16 : 4
  writeIP(ip, scratch, 0)
  let folded = 0
  for (let i = 0; i < length; i += 4) folded ^= word(i)
  return folded >>> 0
}

const byte = (at: number): number => scratch[at] ?? 0
const word = (at: number): number => (byte(at) << 24) | (byte(at + 1) << 16) | (byte(at + 2) << 8) | byte(at + 3)

/** The kernel's first hash of a 32-bit value: places servers, and looks up clients (address + port + offset). */
export const maglevHash1 = (value: number): number => siphash13(value, hash1Key)
/** The second hash: the stride of a server's permutation. */
export const maglevHash2 = (value: number): number => siphash13(value, hash2Key)

/**
 * Low 32 bits of SipHash-1-3 over one little-endian u32, both key halves `key` (hsiphash_1u32 on 64-bit kernels;
 * lib/siphash.c). 64-bit words are pairs of u32, low half first: `[v0, v0 high, v1, v1 high, …]`.
 */
const siphash13 = (value: number, key: number): number => {
  const v = state
  v.set(initial)
  for (let i = 0; i < 8; i += 2) v[i] = (v[i] ?? 0) ^ key
  xorInto(v, 6, value, lengthByte)
  sipRound(v)
  xorInto(v, 0, value, lengthByte)
  xorInto(v, 4, 0xff, 0)
  sipRound(v)
  sipRound(v)
  sipRound(v)
  return ((v[0] ?? 0) ^ (v[2] ?? 0) ^ (v[4] ?? 0) ^ (v[6] ?? 0)) >>> 0
}

/** "somepseudorandomlygeneratedbytes", the constants every SipHash starts from. */
const initial = Uint32Array.of(
  0x70736575,
  0x736f6d65,
  0x6e646f6d,
  0x646f7261,
  0x6e657261,
  0x6c796765,
  0x79746573,
  0x74656462,
)
const state = new Uint32Array(8)
/** The message is 4 bytes long; its length fills the top byte of the last word. */
const lengthByte = 4 << 24

const sipRound = (v: Uint32Array): void => {
  addInto(v, 0, 2)
  rotate(v, 2, 13)
  xorWord(v, 2, 0)
  swapHalves(v, 0)
  addInto(v, 4, 6)
  rotate(v, 6, 16)
  xorWord(v, 6, 4)
  addInto(v, 0, 6)
  rotate(v, 6, 21)
  xorWord(v, 6, 0)
  addInto(v, 4, 2)
  rotate(v, 2, 17)
  xorWord(v, 2, 4)
  swapHalves(v, 4)
}

const addInto = (v: Uint32Array, to: number, from: number): void => {
  const low = (v[to] ?? 0) + (v[from] ?? 0)
  v[to + 1] = (v[to + 1] ?? 0) + (v[from + 1] ?? 0) + (low > 0xffffffff ? 1 : 0)
  v[to] = low
}

const xorInto = (v: Uint32Array, to: number, low: number, high: number): void => {
  v[to] = (v[to] ?? 0) ^ low
  v[to + 1] = (v[to + 1] ?? 0) ^ high
}

const xorWord = (v: Uint32Array, to: number, from: number): void => xorInto(v, to, v[from] ?? 0, v[from + 1] ?? 0)

/** Left by 1 to 31. */
const rotate = (v: Uint32Array, at: number, bits: number): void => {
  const low = v[at] ?? 0
  const high = v[at + 1] ?? 0
  v[at] = (low << bits) | (high >>> (32 - bits))
  v[at + 1] = (high << bits) | (low >>> (32 - bits))
}

/** A rotation by 32. */
const swapHalves = (v: Uint32Array, at: number): void => {
  const low = v[at] ?? 0
  v[at] = v[at + 1] ?? 0
  v[at + 1] = low
}

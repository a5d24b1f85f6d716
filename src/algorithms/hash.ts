import type { IP } from '../model/ip.ts'

/**
 * An address as one 32-bit number, as all hashing schedulers of LVS see it (ip_vs_sh_hashkey and its like): IPv4 in
 * host order, IPv6 the xor of its four words. 0 to 2^32 - 1.
 */
export const foldAddress = (ip: IP): number => foldToInt(ip) >>> 0

/** `foldAddress` as a signed 32-bit integer, which V8 keeps off the heap. Reads the text in place and allocates nothing. */
export const foldToInt = (ip: IP): number => (ip.includes(':') ? foldIPv6(ip) : foldIPv4(ip))

const dot = 46
const colon = 58

const foldIPv4 = (ip: string): number => {
  let folded = 0
  let octet = 0
  for (let i = 0; i < ip.length; i++) {
    const code = ip.charCodeAt(i)
    if (code === dot) {
      folded = (folded << 8) | octet
      octet = 0
    } else octet = octet * 10 + code - 48
  }
  return (folded << 8) | octet
}

/** Of the eight 16-bit groups the even ones are high halves. Groups after `::` are counted from the end, in which direction the odd ones are. */
const foldIPv6 = (ip: string): number => {
  let folded = 0
  let group = 0
  let count = 0
  let i = 0
  for (; i < ip.length; i++) {
    const code = ip.charCodeAt(i)
    if (code !== colon) group = (group << 4) | hexDigit(code)
    else if (ip.charCodeAt(i + 1) === colon) break
    else {
      folded ^= count % 2 === 0 ? group << 16 : group
      group = 0
      count++
    }
  }
  folded ^= count % 2 === 0 ? group << 16 : group
  if (i === ip.length) return folded

  group = 0
  count = 0
  let shift = 0
  for (let at = ip.length - 1; at > i; at--) {
    const code = ip.charCodeAt(at)
    if (code === colon) {
      folded ^= count % 2 === 0 ? group : group << 16
      group = 0
      shift = 0
      count++
    } else {
      group |= hexDigit(code) << shift
      shift += 4
    }
  }
  return folded
}

/** Of 0-9, a-f and A-F. */
const hexDigit = (code: number): number => (code & 15) + (code > 57 ? 9 : 0)

/** The top `bits` bits of the product with GOLDEN_RATIO_32 (hash_32, include/linux/hash.h). */
export const hash32 = (value: number, bits: number): number => Math.imul(value, 0x61c88647) >>> (32 - bits)

/** Both halves of the 128-bit keys in net/netfilter/ipvs/ip_vs_mh.c, hash1 and hash2. */
const hash1Key = 2654435761
const hash2Key = 2654446892

/** The kernel's first hash of a 32-bit value: places servers, and looks up clients (address + port + offset). */
export const maglevHash1 = (value: number): number => siphash13(value, hash1Key) >>> 0
/** The second hash: the stride of a server's permutation. */
export const maglevHash2 = (value: number): number => siphash13(value, hash2Key) >>> 0
/** `maglevHash1` modulo a number of slots, for 32-bit values of either sign. */
export const maglevSlot = (value: number, slots: number): number => (siphash13(value, hash1Key) >>> 0) % slots

/** The message is 4 bytes long; its length fills the top byte of the last word. */
const lengthByte = 4 << 24

/**
 * Low 32 bits, as a signed integer, of SipHash-1-3 over one little-endian u32, both key halves `key` (hsiphash_1u32 on 64-bit kernels;
 * lib/siphash.c). The state a, b, c, d of 64-bit words is kept as low and high halves; it begins as the constants
 * "somepseudorandomlygeneratedbytes" with the key mixed in.
 */
const siphash13 = (value: number, key: number): number => {
  let a = 0x70736575 ^ key
  let aHigh = 0x736f6d65
  let b = 0x6e646f6d ^ key
  let bHigh = 0x646f7261
  let c = 0x6e657261 ^ key
  let cHigh = 0x6c796765
  let d = 0x79746573 ^ key ^ value
  let dHigh = 0x74656462 ^ lengthByte
  for (let round = 0; round < 4; round++) {
    let low = (a + b) | 0
    aHigh = (aHigh + bHigh + carry(low, b)) | 0
    a = low
    low = (b << 13) | (bHigh >>> 19)
    bHigh = ((bHigh << 13) | (b >>> 19)) ^ aHigh
    b = low ^ a
    low = a
    a = aHigh
    aHigh = low
    low = (c + d) | 0
    cHigh = (cHigh + dHigh + carry(low, d)) | 0
    c = low
    low = (d << 16) | (dHigh >>> 16)
    dHigh = ((dHigh << 16) | (d >>> 16)) ^ cHigh
    d = low ^ c
    low = (a + d) | 0
    aHigh = (aHigh + dHigh + carry(low, d)) | 0
    a = low
    low = (d << 21) | (dHigh >>> 11)
    dHigh = ((dHigh << 21) | (d >>> 11)) ^ aHigh
    d = low ^ a
    low = (c + b) | 0
    cHigh = (cHigh + bHigh + carry(low, b)) | 0
    c = low
    low = (b << 17) | (bHigh >>> 15)
    bHigh = ((bHigh << 17) | (b >>> 15)) ^ cHigh
    b = low ^ c
    low = c
    c = cHigh
    cHigh = low
    if (round === 0) {
      a ^= value
      aHigh ^= lengthByte
      c ^= 0xff
    }
  }
  return a ^ b ^ c ^ d
}

/** What the sum of two 32-bit halves, one of them `part`, carries into the upper half. */
const carry = (sum: number, part: number): number => (sum >>> 0 < part >>> 0 ? 1 : 0)

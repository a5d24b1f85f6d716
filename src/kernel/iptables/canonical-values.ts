/** How `iptables-save` writes single values; each function takes a word of restore input. */
import { parseCidr } from '../../model/cidr.ts'
import type { Family } from '../../model/ip.ts'

/** An address or network with its prefix length, host bits cleared; empty for any address. */
export const networkText = (word: string, family: Family): string => {
  const full = family === 'IPv4' ? '/32' : '/128'
  const slash = word.indexOf('/')
  if (slash < 0) return addressText(word) + full
  if (word.endsWith('/0')) return ''
  if (word.endsWith(full)) return addressText(word.slice(0, slash)) + full
  return networks(word)
}

/** Few networks occur, each in many rules. */
const remembered = (make: (word: string) => string): ((word: string) => string) => {
  const known = new Map<string, string>()
  return (word) => {
    const old = known.get(word)
    if (old !== undefined) return old
    const made = make(word)
    if (known.size >= 4096) known.clear()
    known.set(word, made)
    return made
  }
}

const networks = remembered((word) => {
  const cidr = parseCidr(word)
  if (cidr === undefined) return word
  const slash = cidr.indexOf('/')
  return addressText(cidr.slice(0, slash)) + cidr.slice(slash)
})

const embedded = /^::(?:ffff:)?([0-9a-f]{1,4}):([0-9a-f]{1,4})$/

/** inet_ntop(3) writes the last 32 bits of an IPv4-compatible (`::192.0.2.1`) or mapped address in decimal; RFC 5952 leaves it open. */
const addressText = (address: string): string => {
  if (!address.startsWith('::')) return address
  const [, high = '', low = ''] = embedded.exec(address) ?? []
  if (high === '') return address
  const bytes = [high, low].map((word) => Number.parseInt(word, 16)).flatMap((word) => [word >> 8, word & 0xff])
  return `${address.startsWith('::ffff:') ? '::ffff:' : '::'}${bytes.join('.')}`
}

/** `10.0.0.1:80` or `[fd00::1]:80`. */
export const destinationText = (word: string): string => {
  if (!word.startsWith('[::')) return word
  const end = word.indexOf(']')
  return `[${addressText(word.slice(1, end))}${word.slice(end)}`
}

/** A port or an inclusive range `80:90`; empty for every port. */
export const portText = (word: string): string => {
  const colon = word.indexOf(':')
  if (colon < 0) return word
  const first = word.slice(0, colon) || '0'
  const last = word.slice(colon + 1) || '65535'
  if (first === last) return first
  return first === '0' && last === '65535' ? '' : `${first}:${last}`
}

const unsafe = /[^A-Za-z0-9_-]/

/** Free text, bare or in quotes, as xtables_save_string() quotes it. */
export const quotedText = (word: string): string => {
  if (!word.startsWith('"')) return inQuotesIfUnsafe(word)
  const inside = word.slice(1, -1)
  if (inside === '') return word
  if (!unsafe.test(inside)) return inside
  return inside.includes('\\') || inside.includes("'") ? inQuotesIfUnsafe(unescaped(inside)) : word
}

const unescaped = (text: string): string => text.replaceAll(/\\(.)/g, '$1')
const inQuotesIfUnsafe = (text: string): string =>
  unsafe.test(text) ? `"${text.replaceAll(/["'\\]/g, '\\$&')}"` : text

/** libxt_conntrack.c, matchinfo_print / state_print. */
const stateOrder = ['INVALID', 'NEW', 'RELATED', 'ESTABLISHED', 'UNTRACKED', 'SNAT', 'DNAT']

/** States of conntrack in the order of the extension. */
export const stateText = remembered((word) => {
  if (!word.includes(',')) return word.toUpperCase()
  const states = word.toUpperCase().split(',')
  return stateOrder.filter((state) => states.includes(state)).join(',')
})

const allBits = 0xffff_ffff
const hex = (value: number): string => `0x${value.toString(16)}`

/** `0x00004000/0x00004000` of the match: without leading zeros, and without a mask of all bits. */
export const markMatch = remembered((word) => {
  const [value = 0, mask = allBits] = word.split('/').map(Number)
  return mask === allBits ? hex(value) : `${hex(value)}/${hex(mask)}`
})

/** Every way to change a mark is kept as value and mask: mark = (mark & ~mask) ^ value (linux/netfilter/xt_mark.h). */
export const markTarget = (option: string, word: string): string => {
  const [value = 0, mask = allBits] = word.split('/').map(Number)
  switch (option) {
    case '--or-mark':
      return `${hex(value)}/${hex(value)}`
    case '--xor-mark':
      return `${hex(value)}/0x0`
    case '--and-mark':
      return `0x0/${hex(~value >>> 0)}`
    case '--set-mark':
      return `${hex(value)}/${hex((value | mask) >>> 0)}`
    default:
      return `${hex(value)}/${hex(mask)}`
  }
}

const half = 2 ** 19

/**
 * The kernel keeps a probability as a multiple of 2^-31 (xt_statistic.h); it is printed with 11 decimals. Where exactly
 * the middle of two is kept, C rounds to the even one and toFixed() up.
 */
export const probabilityText = remembered((word) => {
  const kept = Math.round(Number(word) * 2 ** 31)
  const printed = (kept / 2 ** 31).toFixed(11)
  // kept * 10^11 / 2^31 = kept * 5^11 / 2^20
  const tie = kept % (2 * half) === half
  if (!tie || Number(printed.at(-1)) % 2 === 0) return printed
  return `${printed.slice(0, -1)}${Number(printed.at(-1)) - 1}`
})

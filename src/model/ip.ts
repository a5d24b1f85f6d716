import { Address6 } from 'ip-address'
import type { Brand } from './brand.ts'

/** Address families by the names that kube-proxy uses as metric labels and health keys. */
export type Family = 'IPv4' | 'IPv6'
export const families = ['IPv4', 'IPv6'] as const satisfies readonly Family[]

/** Dotted decimal without leading zeros. */
export type IPv4 = Brand<string, 'IPv4'>
/** RFC 5952 text; an IPv4-mapped address has been turned into IPv4, as Go's net/netip users do. */
export type IPv6 = Brand<string, 'IPv6'>
export type IP = IPv4 | IPv6

export const familyOf = (ip: IP): Family => (ip.includes(':') ? 'IPv6' : 'IPv4')
export const isFamily = (ip: IP, family: Family): boolean => ip.includes(':') === (family === 'IPv6')
export const addressBytes = (family: Family): 4 | 16 => (family === 'IPv4' ? 4 : 16)

const octet = /^0*(\d{1,3})$/

const parseIPv4 = (text: string): IPv4 | undefined => {
  const parts = text.split('.')
  if (parts.length !== 4) return undefined
  const octets: number[] = []
  for (const part of parts) {
    const digits = octet.exec(part)?.[1]
    const value = digits === undefined ? 256 : Number.parseInt(digits, 10)
    if (value > 255) return undefined
    octets.push(value)
  }
  return octets.join('.') as IPv4
}

const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i
const ipv6Text = /^[0-9a-fA-F:.]+$/

const parseIPv6 = (text: string): IP | undefined => {
  const v4 = mapped.exec(text)?.[1]
  if (v4 !== undefined) return parseIPv4(v4)
  if (!ipv6Text.test(text) || !Address6.isValid(text)) return undefined
  const address = new Address6(text)
  const canonical = address.correctForm()
  if (canonical.startsWith('::ffff:') && address.isMapped4()) return parseIPv4(address.to4().correctForm())
  return canonical as IPv6
}

/**
 * Parses an address as Kubernetes does: leading zeros in IPv4 octets are legal in old objects and mean decimal
 * (k8s.io/utils/net.ParseIPSloppy). Zones, prefixes and blanks are not addresses.
 */
export const parseIP = (text: string): IP | undefined => (text.includes(':') ? parseIPv6(text) : parseIPv4(text))

/** Writes 4 or 16 bytes in network order at `at`; `ip` is trusted. */
export const writeIP = (ip: IP, into: Uint8Array, at: number): void => {
  if (ip.includes(':')) writeIPv6(ip, into, at)
  else writeIPv4(ip, into, at)
}

const writeIPv4 = (ip: string, into: Uint8Array, at: number): void => {
  let value = 0
  let offset = at
  for (let i = 0; i < ip.length; i++) {
    const code = ip.charCodeAt(i)
    if (code === 46) {
      into[offset++] = value
      value = 0
    } else value = value * 10 + code - 48
  }
  into[offset] = value
}

const writeIPv6 = (ip: string, into: Uint8Array, at: number): void => {
  const [head = '', tail] = ip.split('::')
  into.fill(0, at, at + 16)
  const left = head === '' ? [] : head.split(':')
  left.forEach((word, i) => {
    writeWord(word, into, at + 2 * i)
  })
  if (tail === undefined || tail === '') return
  const right = tail.split(':')
  right.forEach((word, i) => {
    writeWord(word, into, at + 16 - 2 * (right.length - i))
  })
}

const writeWord = (word: string, into: Uint8Array, at: number): void => {
  const value = Number.parseInt(word, 16)
  into[at] = value >> 8
  into[at + 1] = value & 0xff
}

/** Reads 4 or 16 bytes in network order; the inverse of {@link writeIP}. */
export const readIP = (family: Family, from: Uint8Array, at: number): IP => {
  if (family === 'IPv4') return `${from[at]}.${from[at + 1]}.${from[at + 2]}.${from[at + 3]}` as IPv4
  const words: number[] = []
  for (let i = 0; i < 16; i += 2) words.push(((from[at + i] ?? 0) << 8) | (from[at + i + 1] ?? 0))
  return compressIPv6(words)
}

/** RFC 5952 §4.2: the longest run of at least two zero words, the first one on a tie, becomes `::`. */
const compressIPv6 = (words: readonly number[]): IPv6 => {
  let bestStart = -1
  let bestLength = 1
  for (let i = 0; i < 8; ) {
    let end = i
    while (end < 8 && words[end] === 0) end++
    if (end - i > bestLength) {
      bestStart = i
      bestLength = end - i
    }
    i = end + 1
  }
  const hex = (part: readonly number[]): string => part.map((word) => word.toString(16)).join(':')
  if (bestStart < 0) return hex(words) as IPv6
  return `${hex(words.slice(0, bestStart))}::${hex(words.slice(bestStart + bestLength))}` as IPv6
}

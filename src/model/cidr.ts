import type { Brand } from './brand.ts'
import { addressBytes, type Family, familyOf, type IP, parseIP, readIP, writeIP } from './ip.ts'

/** `address/bits` with the host bits cleared, e.g. `10.0.0.0/8`. */
export type Cidr = Brand<string, 'Cidr'>

const bitsText = /^\d{1,3}$/

/** Parses leniently, as Kubernetes does: leading zeros are decimal, host bits are cleared. A bare address is no CIDR. */
export const parseCidr = (text: string): Cidr | undefined => {
  const slash = text.indexOf('/')
  if (slash < 0) return undefined
  const ip = parseIP(text.slice(0, slash))
  const bitsPart = text.slice(slash + 1)
  if (ip === undefined || !bitsText.test(bitsPart)) return undefined
  const bits = Number.parseInt(bitsPart, 10)
  if (bits > maxBits(familyOf(ip))) return undefined
  return cidrOf(ip, bits)
}

export const maxBits = (family: Family): 32 | 128 => (family === 'IPv4' ? 32 : 128)

/** The network of `bits` leading bits that holds `ip`. */
export const cidrOf = (ip: IP, bits: number): Cidr => {
  const family = familyOf(ip)
  const bytes = new Uint8Array(addressBytes(family))
  writeIP(ip, bytes, 0)
  for (let i = 0; i < bytes.length; i++) bytes[i] = (bytes[i] ?? 0) & byteMask(bits, i)
  return `${readIP(family, bytes, 0)}/${bits}` as Cidr
}

export const hostCidr = (ip: IP): Cidr => `${ip}/${maxBits(familyOf(ip))}` as Cidr

export const cidrAddress = (cidr: Cidr): IP => cidr.slice(0, cidr.indexOf('/')) as IP
export const cidrBits = (cidr: Cidr): number => Number.parseInt(cidr.slice(cidr.indexOf('/') + 1), 10)
export const cidrFamily = (cidr: Cidr): Family => (cidr.includes(':') ? 'IPv6' : 'IPv4')

/** The mask of byte `index` of an address under a prefix of `bits`. */
export const byteMask = (bits: number, index: number): number => {
  const left = bits - 8 * index
  if (left >= 8) return 0xff
  return left <= 0 ? 0 : (0xff << (8 - left)) & 0xff
}

export const cidrContains = (cidr: Cidr, ip: IP): boolean => {
  if (cidrFamily(cidr) !== familyOf(ip)) return false
  return cidrOf(ip, cidrBits(cidr)) === cidr
}

/** First and last address, both inclusive, in network order. */
export const cidrRange = (cidr: Cidr): { readonly first: Uint8Array; readonly last: Uint8Array } => {
  const bits = cidrBits(cidr)
  const first = new Uint8Array(addressBytes(cidrFamily(cidr)))
  writeIP(cidrAddress(cidr), first, 0)
  const last = first.map((byte, i) => byte | (~byteMask(bits, i) & 0xff))
  return { first, last }
}

/** Drops networks that lie inside another of the list. CIDRs nest or are disjoint, so the result never overlaps. Sorted. */
export const mergeCidrs = (cidrs: Iterable<Cidr>): readonly Cidr[] => {
  const byWidth = [...new Set(cidrs)].sort((a, b) => cidrBits(a) - cidrBits(b) || (a < b ? -1 : 1))
  const kept: Cidr[] = []
  for (const cidr of byWidth) if (!kept.some((wide) => cidrContains(wide, cidrAddress(cidr)))) kept.push(cidr)
  return kept.sort()
}

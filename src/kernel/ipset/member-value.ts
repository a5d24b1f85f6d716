import { byteMask, maxBits } from '../../model/cidr.ts'
import { addressBytes, type Family, type IP, readIP, writeIP } from '../../model/ip.ts'
import { protocolNumber } from '../../model/protocol.ts'
import type { SetRef } from './ipset.ts'
import { ipMember, type Member, markWord } from './member.ts'

/** What decides how members of a set look. */
export type MemberShape = Pick<SetRef, 'type' | 'family' | 'marks'>

export interface PortValue {
  readonly kind: 'port'
  readonly port: number
}

/** Of a hash:ip. */
export interface AddressValue {
  readonly kind: 'address'
  readonly ip: Uint8Array
}

/** What becomes of the mark of a packet: the bits of `mask` are cleared, then those of `mark` flipped. */
export interface Mark {
  readonly mark: number
  readonly mask: number
}

/** A member of another hash. */
export interface TupleValue {
  readonly kind: 'tuple'
  /** Network order, as {@link TupleValue.second}. */
  readonly ip: Uint8Array
  /** IPPROTO_*. */
  readonly protocol: number
  readonly port: number
  /** The other address, or the network's. */
  readonly second: Uint8Array | undefined
  /** Of the network. */
  readonly bits: number | undefined
  /** An exception from a wider network. weir adds none, but others can. */
  readonly nomatch: boolean
  readonly mark: Mark | undefined
}

export type MemberValue = PortValue | AddressValue | TupleValue

const { TCP, UDP, SCTP } = protocolNumber
/** linux/in.h */
const IPPROTO_UDPLITE = 136
const IPPROTO_ICMP = 1
const IPPROTO_ICMPV6 = 58

const words = new Map([
  [TCP, 'tcp'],
  [UDP, 'udp'],
  [SCTP, 'sctp'],
  [IPPROTO_UDPLITE, 'udplite'],
] as const satisfies readonly (readonly [number, string])[]) as ReadonlyMap<number, string>
const numbers: ReadonlyMap<string, number> = new Map([...words].map(([number, word]) => [word, number]))

const nomatchSuffix = ' nomatch'

/** The inverse of {@link formatMember}; undefined for any text that it would not write for a set of this shape. */
export const parseMember = (shape: MemberShape, member: string): MemberValue | undefined => {
  switch (shape.type) {
    case 'bitmap:port': {
      const port = wholeNumber(member, 0xffff)
      return port === undefined ? undefined : { kind: 'port', port }
    }
    case 'hash:ip': {
      const ip = parseAddress(shape.family, member)
      return ip === undefined ? undefined : { kind: 'address', ip }
    }
    default:
      return parseMarked(shape, member)
  }
}

export const unmarked = (value: MemberValue): MemberValue =>
  value.kind === 'tuple' ? { ...value, mark: undefined } : value

const parseMarked = (shape: MemberShape, member: string): TupleValue | undefined => {
  const end = shape.marks === undefined ? -1 : member.indexOf(markWord)
  if (end < 0) return parseTuple(shape, member, undefined)
  const mark = parseMark(member.slice(end + markWord.length))
  return mark === undefined ? undefined : parseTuple(shape, member.slice(0, end), mark)
}

const parseTuple = ({ type, family }: MemberShape, member: string, mark: Mark | undefined): TupleValue | undefined => {
  const isNet = type === 'hash:ip,port,net'
  const nomatch = isNet && member.endsWith(nomatchSuffix)
  const end = nomatch ? member.length - nomatchSuffix.length : member.length
  const comma = member.indexOf(',')
  const colon = member.indexOf(':', comma + 1)
  if (comma < 0 || colon < 0) return undefined
  const next = type === 'hash:ip,port' ? end : member.indexOf(',', colon + 1)
  if (next < 0) return undefined
  const ip = parseAddress(family, member.slice(0, comma))
  const port = wholeNumber(member.slice(colon + 1, next), 0xffff)
  if (ip === undefined || port === undefined) return undefined
  const protocol = parseProtocol(family, member.slice(comma + 1, colon), port)
  if (protocol === undefined) return undefined
  if (next === end) return { kind: 'tuple', ip, protocol, port, second: undefined, bits: undefined, nomatch, mark }
  const other = member.slice(next + 1, end)
  const bits = isNet ? parseBits(family, other) : undefined
  const second = parseAddress(family, isNet ? beforeSlash(other) : other)
  if (second === undefined) return undefined
  if (isNet && (bits === undefined || !isNetwork(second, bits))) return undefined
  return { kind: 'tuple', ip, protocol, port, second, bits, nomatch, mark }
}

export const formatMember = (value: MemberValue, family: Family): Member => {
  if (value.kind === 'port') return String(value.port) as Member
  if (value.kind === 'address') return ipMember(readIP(family, value.ip, 0))
  const { ip, protocol, port, second, bits, nomatch, mark } = value
  let text = `${readIP(family, ip, 0)},${words.get(protocol) ?? protocol}:${port}`
  if (second !== undefined) text += `,${readIP(family, second, 0)}`
  if (bits !== undefined && bits !== maxBits(family)) text += `/${bits}`
  if (nomatch) text += nomatchSuffix
  return (mark === undefined ? text : text + markWord + formatMark(mark)) as Member
}

/** All 32 bits, which goes without saying. */
const wholeMask = 0xffffffff

const formatMark = ({ mark, mask }: Mark): string =>
  mask === wholeMask ? `0x${mark.toString(16)}` : `0x${mark.toString(16)}/0x${mask.toString(16)}`

const markText = /^0x(0|[1-9a-f][0-9a-f]{0,7})(?:\/0x(0|[1-9a-f][0-9a-f]{0,7}))?$/

const parseMark = (text: string): Mark | undefined => {
  const [, mark, mask] = markText.exec(text) ?? []
  if (mark === undefined) return undefined
  const value = { mark: Number.parseInt(mark, 16), mask: mask === undefined ? wholeMask : Number.parseInt(mask, 16) }
  // A full mask is left out, and neither mark nor mask is no mark at all.
  if (mask !== undefined && value.mask === wholeMask) return undefined
  return value.mark === 0 && value.mask === 0 ? undefined : value
}

/** Nothing but the network's own bits is set. */
export const isNetwork = (address: Uint8Array, bits: number): boolean =>
  address.every((byte, i) => (byte & ~byteMask(bits, i)) === 0)

const parseAddress = (family: Family, text: string): Uint8Array | undefined => {
  const bytes = new Uint8Array(addressBytes(family))
  // Only the one text that the bytes are written as is that of an address.
  writeIP(text as IP, bytes, 0)
  return readIP(family, bytes, 0) === text ? bytes : undefined
}

const beforeSlash = (text: string): string => {
  const slash = text.indexOf('/')
  return slash < 0 ? text : text.slice(0, slash)
}

const parseBits = (family: Family, text: string): number | undefined => {
  const slash = text.indexOf('/')
  if (slash < 0) return maxBits(family)
  // Not the length of a single address, which is left out, nor 0, which the kernel does not take.
  return wholeNumber(text.slice(slash + 1), maxBits(family) - 1) || undefined
}

const parseProtocol = (family: Family, word: string, port: number): number | undefined => {
  const named = numbers.get(word)
  if (named !== undefined) return named
  const protocol = wholeNumber(word, 0xff)
  if (protocol === undefined || protocol === 0 || words.has(protocol)) return undefined
  // The kernel keeps type and code of ICMP as the port, and 0 for protocols without ports.
  const hasTypes = protocol === (family === 'IPv4' ? IPPROTO_ICMP : IPPROTO_ICMPV6)
  return hasTypes || port === 0 ? protocol : undefined
}

/** Digits without a leading zero. */
const wholeNumber = (text: string, most: number): number | undefined => {
  const { length } = text
  if (length === 0 || length > 5 || (length > 1 && text.charCodeAt(0) === 48)) return undefined
  let value = 0
  for (let i = 0; i < length; i++) {
    const digit = text.charCodeAt(i) - 48
    if (digit < 0 || digit > 9) return undefined
    value = 10 * value + digit
  }
  return value <= most ? value : undefined
}

import { byteMask, maxBits } from '../../model/cidr.ts'
import { addressBytes, type Family, type IP, readIP, writeIP } from '../../model/ip.ts'
import { protocolNumber } from '../../model/protocol.ts'
import type { SetRef } from './ipset.ts'
import type { Member } from './member.ts'

/** What decides how members of a set look. */
export type MemberShape = Pick<SetRef, 'type' | 'family'>

export interface PortValue {
  readonly kind: 'port'
  readonly port: number
}

/** A member of a hash. */
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
}

export type MemberValue = PortValue | TupleValue

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
export const parseMember = ({ type, family }: MemberShape, member: string): MemberValue | undefined => {
  if (type === 'bitmap:port') {
    const port = wholeNumber(member, 0xffff)
    return port === undefined ? undefined : { kind: 'port', port }
  }
  const isNet = type === 'hash:ip,port,net'
  const nomatch = isNet && member.endsWith(nomatchSuffix)
  const parts = (nomatch ? member.slice(0, -nomatchSuffix.length) : member).split(',')
  if (parts.length !== (type === 'hash:ip,port' ? 2 : 3)) return undefined
  const [address = '', service = '', other] = parts
  const ip = parseAddress(family, address)
  const protocolPort = parseService(family, service)
  if (ip === undefined || protocolPort === undefined) return undefined
  const tuple = { kind: 'tuple', ip, ...protocolPort, nomatch } as const
  if (other === undefined) return { ...tuple, second: undefined, bits: undefined }
  if (isNet) {
    const net = parseNet(family, other)
    return net === undefined ? undefined : { ...tuple, ...net }
  }
  const second = parseAddress(family, other)
  return second === undefined ? undefined : { ...tuple, second, bits: undefined }
}

export const formatMember = (value: MemberValue, family: Family): Member => {
  if (value.kind === 'port') return String(value.port) as Member
  const { ip, protocol, port, second, bits, nomatch } = value
  let text = `${readIP(family, ip, 0)},${words.get(protocol) ?? protocol}:${port}`
  if (second !== undefined) text += `,${readIP(family, second, 0)}`
  if (bits !== undefined && bits !== maxBits(family)) text += `/${bits}`
  return (nomatch ? text + nomatchSuffix : text) as Member
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

const parseNet = (family: Family, text: string): { second: Uint8Array; bits: number } | undefined => {
  const slash = text.indexOf('/')
  const second = parseAddress(family, slash < 0 ? text : text.slice(0, slash))
  const most = maxBits(family)
  const bits = slash < 0 ? most : wholeNumber(text.slice(slash + 1), most - 1)
  if (second === undefined || bits === undefined || bits === 0) return undefined
  return isNetwork(second, bits) ? { second, bits } : undefined
}

const parseService = (family: Family, text: string): { protocol: number; port: number } | undefined => {
  const colon = text.indexOf(':')
  if (colon < 0) return undefined
  const word = text.slice(0, colon)
  const port = wholeNumber(text.slice(colon + 1), 0xffff)
  if (port === undefined) return undefined
  const named = numbers.get(word)
  if (named !== undefined) return { protocol: named, port }
  const protocol = wholeNumber(word, 0xff)
  if (protocol === undefined || protocol === 0 || words.has(protocol)) return undefined
  // The kernel keeps type and code of ICMP as the port, and 0 for protocols without ports.
  const hasTypes = protocol === (family === 'IPv4' ? IPPROTO_ICMP : IPPROTO_ICMPV6)
  return hasTypes || port === 0 ? { protocol, port } : undefined
}

const digits = /^(?:0|[1-9]\d{0,4})$/

const wholeNumber = (text: string, most: number): number | undefined => {
  if (!digits.test(text)) return undefined
  const value = Number.parseInt(text, 10)
  return value <= most ? value : undefined
}

import { maxBits } from '../../model/cidr.ts'
import { addressBytes, type Family } from '../../model/ip.ts'
import { malformed } from '../netlink/error.ts'
import type { Reader, Writer } from '../netlink/wire.ts'
import {
  IPSET_ATTR_BYTES,
  IPSET_ATTR_CADT_FLAGS,
  IPSET_ATTR_CADT_LINENO,
  IPSET_ATTR_CIDR2,
  IPSET_ATTR_COMMENT,
  IPSET_ATTR_DATA,
  IPSET_ATTR_IP,
  IPSET_ATTR_IP2,
  IPSET_ATTR_IPADDR_IPV4,
  IPSET_ATTR_IPADDR_IPV6,
  IPSET_ATTR_PACKETS,
  IPSET_ATTR_PAD,
  IPSET_ATTR_PORT,
  IPSET_ATTR_PROTO,
  IPSET_ATTR_SKBMARK,
  IPSET_ATTR_SKBPRIO,
  IPSET_ATTR_SKBQUEUE,
  IPSET_ATTR_TIMEOUT,
  IPSET_FLAG_NOMATCH,
  NLA_F_NET_BYTEORDER,
} from './constants.ts'
import type { SetType } from './ipset.ts'
import { isNetwork, type Mark, type MemberShape, type MemberValue } from './member-value.ts'

/** `line` is what the kernel names the member by when it refuses it: not 0, which it takes for "none". */
export const writeMember = (writer: Writer, value: MemberValue, line: number): void => {
  const data = writer.nest(IPSET_ATTR_DATA)
  if (value.kind === 'port') writer.u16be(IPSET_ATTR_PORT | NLA_F_NET_BYTEORDER, value.port)
  else if (value.kind === 'address') writeAddress(writer, IPSET_ATTR_IP, value.ip)
  else {
    writeAddress(writer, IPSET_ATTR_IP, value.ip)
    writer.u16be(IPSET_ATTR_PORT | NLA_F_NET_BYTEORDER, value.port)
    writer.u8(IPSET_ATTR_PROTO, value.protocol)
    if (value.nomatch) writer.u32be(IPSET_ATTR_CADT_FLAGS | NLA_F_NET_BYTEORDER, IPSET_FLAG_NOMATCH)
    if (value.second !== undefined) writeAddress(writer, IPSET_ATTR_IP2, value.second)
    if (value.bits !== undefined) writer.u8(IPSET_ATTR_CIDR2, value.bits)
    if (value.mark !== undefined) {
      const { mark, mask } = value.mark
      writer.u64be(IPSET_ATTR_SKBMARK | NLA_F_NET_BYTEORDER, (BigInt(mark) << 32n) | BigInt(mask))
    }
  }
  writer.u32be(IPSET_ATTR_CADT_LINENO | NLA_F_NET_BYTEORDER, line)
  writer.endNest(data)
}

const writeAddress = (writer: Writer, type: number, bytes: Uint8Array): void => {
  const nest = writer.nest(type)
  const inner = bytes.length === 4 ? IPSET_ATTR_IPADDR_IPV4 : IPSET_ATTR_IPADDR_IPV6
  writer.value(inner | NLA_F_NET_BYTEORDER, bytes)
  writer.endNest(nest)
}

/** Extensions that sets of others may have: they do not change what is a member. */
const extensions: ReadonlySet<number> = new Set([
  IPSET_ATTR_TIMEOUT,
  IPSET_ATTR_BYTES,
  IPSET_ATTR_PACKETS,
  IPSET_ATTR_COMMENT,
  IPSET_ATTR_SKBMARK,
  IPSET_ATTR_SKBPRIO,
  IPSET_ATTR_SKBQUEUE,
  IPSET_ATTR_PAD,
])

/** What makes a member, by the type of its set. */
const ownAttributes: Readonly<Record<SetType, ReadonlySet<number>>> = {
  'hash:ip': new Set([IPSET_ATTR_IP]),
  'hash:ip,port': new Set([IPSET_ATTR_IP, IPSET_ATTR_PORT, IPSET_ATTR_PROTO]),
  'hash:ip,port,ip': new Set([IPSET_ATTR_IP, IPSET_ATTR_PORT, IPSET_ATTR_PROTO, IPSET_ATTR_IP2]),
  'hash:ip,port,net': new Set([
    IPSET_ATTR_IP,
    IPSET_ATTR_PORT,
    IPSET_ATTR_PROTO,
    IPSET_ATTR_IP2,
    IPSET_ATTR_CIDR2,
    IPSET_ATTR_CADT_FLAGS,
  ]),
  'bitmap:port': new Set([IPSET_ATTR_PORT]),
}

/** Reads the attributes in one IPSET_ATTR_DATA of a dump. Throws `malformed` for anything else than such a member. */
export const readMember = (shape: MemberShape, data: Reader): MemberValue => {
  const { type, family } = shape
  let ip: Uint8Array | undefined
  let port: number | undefined
  let protocol: number | undefined
  let second: Uint8Array | undefined
  let bits: number | undefined
  let flags: number | undefined
  let fullMark: bigint | undefined
  const once = (value: unknown): void => {
    if (value !== undefined) throw malformed(`attribute ${data.type} twice in a member`)
  }
  while (data.next()) {
    const isOwn = ownAttributes[type].has(data.type)
    if (data.type === IPSET_ATTR_SKBMARK && shape.marks !== undefined) {
      once(fullMark)
      fullMark = data.u64be()
    } else if (!isOwn && !extensions.has(data.type)) throw malformed(`attribute ${data.type} in a member of ${type}`)
    else if (!isOwn) continue
    else if (data.type === IPSET_ATTR_PORT) {
      once(port)
      port = data.u16be()
    } else if (data.type === IPSET_ATTR_IP) {
      once(ip)
      ip = readAddress(data, family)
    } else if (data.type === IPSET_ATTR_PROTO) {
      once(protocol)
      protocol = data.u8()
    } else if (data.type === IPSET_ATTR_IP2) {
      once(second)
      second = readAddress(data, family)
    } else if (data.type === IPSET_ATTR_CIDR2) {
      once(bits)
      bits = data.u8()
    } else {
      once(flags)
      flags = data.u32be()
    }
  }
  if (type === 'hash:ip') {
    if (ip === undefined) throw malformed('member without an address')
    return { kind: 'address', ip }
  }
  if (port === undefined) throw malformed('member without a port')
  if (type === 'bitmap:port') return { kind: 'port', port }
  if (ip === undefined || protocol === undefined) throw malformed(`half a member of ${type}`)
  if ((second === undefined) !== (type === 'hash:ip,port')) throw malformed(`member of ${type} without second address`)
  if (type === 'hash:ip,port,net' && !(second !== undefined && isNetworkOf(family, second, bits)))
    throw malformed('member without a network')
  if (flags !== undefined && flags !== 0 && flags !== IPSET_FLAG_NOMATCH) throw malformed(`flags ${flags} of a member`)
  return {
    kind: 'tuple',
    ip,
    protocol,
    port,
    second,
    bits,
    nomatch: flags === IPSET_FLAG_NOMATCH,
    mark: readMark(fullMark),
  }
}

/** Neither mark nor mask is what a member without a mark has. */
const readMark = (full: bigint | undefined): Mark | undefined =>
  full === undefined || full === 0n ? undefined : { mark: Number(full >> 32n), mask: Number(full & 0xffffffffn) }

const isNetworkOf = (family: Family, address: Uint8Array, bits: number | undefined): boolean =>
  bits !== undefined && bits > 0 && bits <= maxBits(family) && isNetwork(address, bits)

/** A copy, because the datagram does not last. */
const readAddress = (outer: Reader, family: Family): Uint8Array => {
  const inner = outer.nested()
  const type = family === 'IPv4' ? IPSET_ATTR_IPADDR_IPV4 : IPSET_ATTR_IPADDR_IPV6
  if (!inner.next() || inner.type !== type || inner.end - inner.start !== addressBytes(family))
    throw malformed(`attribute ${outer.type} is no ${family} address`)
  const address = inner.value().slice()
  if (inner.next()) throw malformed(`attribute ${outer.type} holds more than an address`)
  return address
}

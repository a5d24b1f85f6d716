import { cidrAddress, cidrBits, cidrFamily, cidrOf, maxBits } from '../../model/cidr.ts'
import { addressBytes, type Family, familyOf, type IP, readIP, writeIP } from '../../model/ip.ts'
import { malformed } from '../netlink/error.ts'
import { littleEndian, type MessageReader, type Reader, type Writer } from '../netlink/wire.ts'
import type { RouteEntry, RouteKind } from './route-entry.ts'
import { AF_INET, AF_INET6, familyOfNumber, RT_SCOPE_HOST, RT_SCOPE_UNIVERSE } from './rtnetlink.ts'

/** linux/rtnetlink.h */
export const RTM_NEWROUTE = 24
export const RTM_DELROUTE = 25
export const RTM_GETROUTE = 26

/** sizeof(struct rtmsg): family, destination bits, source bits, TOS, table, protocol, scope, type, flags. */
const rtmsgLength = 12
const destinationBitsAt = 1
const sourceBitsAt = 2
const tableAt = 4
const protocolAt = 5
const scopeAt = 6
const typeAt = 7
const flagsAt = 8

const RTA_DST = 1
const RTA_OIF = 4
const RTA_GATEWAY = 5
const RTA_PRIORITY = 6
const RTA_MULTIPATH = 9
const RTA_TABLE = 15

/** In the flags: an exception that the kernel made for itself, e.g. for a path MTU. */
const RTM_F_CLONED = 0x200
/** In the flags of a question: the route of the table that is taken. */
const RTM_F_FIB_MATCH = 0x2000
/** "By the administrator": as `ip route` without `proto` is "boot". */
const RTPROT_STATIC = 4
const RT_SCOPE_LINK = 253
/** In a removal: any. */
const RT_SCOPE_NOWHERE = 255

/** RTN_* */
const kindNumbers: Readonly<Record<Exclude<RouteKind, 'other'>, number>> = {
  unicast: 1,
  local: 2,
  blackhole: 6,
  unreachable: 7,
}
const kinds = new Map([
  [kindNumbers.unicast, 'unicast'],
  [kindNumbers.local, 'local'],
  [kindNumbers.blackhole, 'blackhole'],
  [kindNumbers.unreachable, 'unreachable'],
] as const satisfies readonly (readonly [number, RouteKind])[]) as ReadonlyMap<number, RouteKind>

/** A route that can be written. */
export type WritableRoute = RouteEntry & { readonly kind: Exclude<RouteKind, 'other'> }
export const isWritable = (entry: RouteEntry): entry is WritableRoute => entry.kind !== 'other'

/** What follows the header of an RTM_GETROUTE for the dump of one table. */
export const tableBody =
  (family: Family, table: number) =>
  (writer: Writer): void => {
    const at = writer.reserve(rtmsgLength)
    writer.view.setUint8(at, family === 'IPv4' ? AF_INET : AF_INET6)
    writer.u32host(RTA_TABLE, table)
  }

/** What follows the header of an RTM_GETROUTE that asks which route a packet takes. */
export const routeToBody =
  (ip: IP) =>
  (writer: Writer): void => {
    const family = familyOf(ip)
    const at = writer.reserve(rtmsgLength)
    writer.view.setUint8(at, family === 'IPv4' ? AF_INET : AF_INET6)
    writer.view.setUint8(at + destinationBitsAt, maxBits(family))
    // Else the answer would be one that the kernel has copied for this packet.
    writer.view.setUint32(at + flagsAt, RTM_F_FIB_MATCH, littleEndian)
    writeAddress(writer, RTA_DST, ip, family)
  }

/** What follows the header of an RTM_NEWROUTE or RTM_DELROUTE. */
export const routeBody =
  (type: number, entry: WritableRoute) =>
  (writer: Writer): void => {
    const { kind, destination, table, metric, index, gateway } = entry
    const family = cidrFamily(destination)
    const at = writer.reserve(rtmsgLength)
    writer.view.setUint8(at, family === 'IPv4' ? AF_INET : AF_INET6)
    writer.view.setUint8(at + destinationBitsAt, cidrBits(destination))
    writer.view.setUint8(at + protocolAt, type === RTM_NEWROUTE ? RTPROT_STATIC : 0)
    writer.view.setUint8(at + scopeAt, type === RTM_NEWROUTE ? scopeOf(entry) : RT_SCOPE_NOWHERE)
    writer.view.setUint8(at + typeAt, kindNumbers[kind])
    writeAddress(writer, RTA_DST, cidrAddress(destination), family)
    // The byte of the header is too narrow; 0 there leaves it to the attribute.
    writer.u32host(RTA_TABLE, table)
    if (metric !== 0) writer.u32host(RTA_PRIORITY, metric)
    if (index !== undefined) writer.u32host(RTA_OIF, index)
    if (gateway !== undefined) writeAddress(writer, RTA_GATEWAY, gateway, family)
  }

const scopeOf = ({ kind, gateway }: WritableRoute): number => {
  if (kind === 'local') return RT_SCOPE_HOST
  return kind === 'unicast' && gateway === undefined ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE
}

const writeAddress = (writer: Writer, type: number, ip: IP, family: Family): void => {
  const value = writer.attribute(type, addressBytes(family))
  writeIP(ip, writer.bytes, value)
}

/**
 * Reads an RTM_NEWROUTE. Undefined for families other than IP, routes by source address (IPv6 subtrees), and the kernel's
 * own exceptions.
 */
export const readRoute = (message: MessageReader): RouteEntry | undefined => {
  const attributes = message.attributes(rtmsgLength)
  const header = (at: number): number => message.bytes[message.start + at] ?? 0
  const family = familyOfNumber(header(0))
  if (family === undefined || header(sourceBitsAt) !== 0) return undefined
  if ((message.u32host(flagsAt) & RTM_F_CLONED) !== 0) return undefined
  let address = readIP(family, new Uint8Array(addressBytes(family)), 0)
  let table = header(tableAt)
  let metric = 0
  let index: number | undefined
  let gateway: IP | undefined
  let isMultipath = false
  while (attributes.next()) {
    if (attributes.type === RTA_DST) address = readAddress(attributes, family)
    else if (attributes.type === RTA_GATEWAY) gateway = readAddress(attributes, family)
    else if (attributes.type === RTA_TABLE) table = attributes.u32host()
    else if (attributes.type === RTA_PRIORITY) metric = attributes.u32host()
    else if (attributes.type === RTA_OIF) index = attributes.u32host()
    else if (attributes.type === RTA_MULTIPATH) isMultipath = true
  }
  const bits = header(destinationBitsAt)
  if (bits > 8 * addressBytes(family)) throw malformed(`route to a network of ${bits} bits`)
  const kind = kinds.get(header(typeAt)) ?? 'other'
  // The kernel gives an IPv6 route that leads nowhere the loopback interface.
  const leads = !isMultipath && kind !== 'blackhole' && kind !== 'unreachable'
  const destination = cidrOf(address, bits)
  return { kind, destination, table, metric, index: leads ? index : undefined, gateway: leads ? gateway : undefined }
}

const readAddress = (attribute: Reader, family: Family): IP => {
  if (attribute.end - attribute.start !== addressBytes(family)) throw malformed('address of a wrong length')
  return readIP(family, attribute.bytes, attribute.start)
}

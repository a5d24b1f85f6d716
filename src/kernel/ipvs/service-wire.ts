import type { Family } from '../../model/ip.ts'
import { type Protocol, protocolNumber } from '../../model/protocol.ts'
import { malformed } from '../netlink/error.ts'
import { littleEndian, type Reader, type Writer } from '../netlink/wire.ts'
import { familyNumber, present, readAddress, readFamily, writeAddress } from './address-wire.ts'
import {
  IP_VS_SVC_F_ONEPACKET,
  IP_VS_SVC_F_PERSISTENT,
  IP_VS_SVC_F_SCHED1,
  IP_VS_SVC_F_SCHED2,
  IP_VS_SVC_F_SCHED3,
  IPVS_CMD_ATTR_SERVICE,
  IPVS_SVC_ATTR_ADDR,
  IPVS_SVC_ATTR_AF,
  IPVS_SVC_ATTR_FLAGS,
  IPVS_SVC_ATTR_FWMARK,
  IPVS_SVC_ATTR_NETMASK,
  IPVS_SVC_ATTR_PORT,
  IPVS_SVC_ATTR_PROTOCOL,
  IPVS_SVC_ATTR_SCHED_NAME,
  IPVS_SVC_ATTR_STATS,
  IPVS_SVC_ATTR_STATS64,
  IPVS_SVC_ATTR_TIMEOUT,
} from './constants.ts'
import { readCounters } from './counters-wire.ts'
import {
  familyOfServer,
  type IpvsCounters,
  type ObservedVirtualServer,
  type VirtualServer,
  type VirtualServerFlag,
  type VirtualServerId,
  virtualServerFlags,
} from './ipvs.ts'

const flagBits = {
  persistent: IP_VS_SVC_F_PERSISTENT,
  onePacket: IP_VS_SVC_F_ONEPACKET,
  sched1: IP_VS_SVC_F_SCHED1,
  sched2: IP_VS_SVC_F_SCHED2,
  sched3: IP_VS_SVC_F_SCHED3,
} as const satisfies Record<VirtualServerFlag, number>

/** Flags that we leave out are to go. */
const everyFlag = 0xffff_ffff

/** Which virtual server is meant. */
export const writeId = (writer: Writer, id: VirtualServerId): void => {
  const nest = writer.nest(IPVS_CMD_ATTR_SERVICE)
  writeIdentity(writer, id)
  writer.endNest(nest)
}

/** All of a virtual server. */
export const writeVirtualServer = (writer: Writer, server: VirtualServer): void => {
  const { id, scheduler, flags, persistenceSeconds, persistencePrefix } = server
  const nest = writer.nest(IPVS_CMD_ATTR_SERVICE)
  writeIdentity(writer, id)
  writer.string(IPVS_SVC_ATTR_SCHED_NAME, scheduler)
  let bits = 0
  for (const flag of flags) bits |= flagBits[flag]
  const at = writer.attribute(IPVS_SVC_ATTR_FLAGS, 8)
  writer.view.setUint32(at, bits, littleEndian)
  writer.view.setUint32(at + 4, everyFlag, littleEndian)
  writer.u32host(IPVS_SVC_ATTR_TIMEOUT, persistenceSeconds)
  if (familyOfServer(id) === 'IPv4') writer.u32be(IPVS_SVC_ATTR_NETMASK, ipv4Mask(persistencePrefix))
  else writer.u32host(IPVS_SVC_ATTR_NETMASK, persistencePrefix)
  writer.endNest(nest)
}

const writeIdentity = (writer: Writer, id: VirtualServerId): void => {
  writer.u16host(IPVS_SVC_ATTR_AF, familyNumber[familyOfServer(id)])
  if (id.kind === 'mark') {
    writer.u32host(IPVS_SVC_ATTR_FWMARK, id.mark)
    return
  }
  writer.u16host(IPVS_SVC_ATTR_PROTOCOL, protocolNumber[id.protocol])
  writeAddress(writer, IPVS_SVC_ATTR_ADDR, id.ip)
  writer.u16be(IPVS_SVC_ATTR_PORT, id.port)
}

/** A shift by 32 would be one by 0. */
const ipv4Mask = (prefix: number): number => (prefix === 0 ? 0 : (0xffff_ffff << (32 - prefix)) >>> 0)
const ipv4Prefix = (mask: number): number => Math.clz32(~mask)

/** What the attributes of a virtual server tell, before it is known whether they are all there. */
interface Found {
  family?: Family
  protocol?: number
  address?: Uint8Array
  port?: number
  mark?: number
  scheduler?: string
  flags?: number
  timeout?: number
  /** As the bytes are: what they mean depends on the family. */
  mask?: { readonly network: number; readonly host: number }
  counters?: IpvsCounters
}

/** Reads the attributes of an IPVS_CMD_NEW_SERVICE. Undefined for one of a protocol that no Service has. */
export const readVirtualServer = (attributes: Reader): ObservedVirtualServer | undefined => {
  while (attributes.next())
    if (attributes.type === IPVS_CMD_ATTR_SERVICE) return virtualServerOf(readFound(attributes.nested()))
  throw malformed('no virtual server')
}

const readFound = (reader: Reader): Found => {
  const found: Found = {}
  while (reader.next())
    switch (reader.type) {
      case IPVS_SVC_ATTR_AF:
        found.family = readFamily(reader)
        break
      case IPVS_SVC_ATTR_PROTOCOL:
        found.protocol = reader.u16host()
        break
      case IPVS_SVC_ATTR_ADDR:
        found.address = reader.value()
        break
      case IPVS_SVC_ATTR_PORT:
        found.port = reader.u16be()
        break
      case IPVS_SVC_ATTR_FWMARK:
        found.mark = reader.u32host()
        break
      case IPVS_SVC_ATTR_SCHED_NAME:
        found.scheduler = reader.string()
        break
      case IPVS_SVC_ATTR_FLAGS:
        found.flags = readFlags(reader)
        break
      case IPVS_SVC_ATTR_TIMEOUT:
        found.timeout = reader.u32host()
        break
      case IPVS_SVC_ATTR_NETMASK:
        found.mask = { network: reader.u32be(), host: reader.u32host() }
        break
      case IPVS_SVC_ATTR_STATS:
        // Of both, the one of 64 bits counts.
        found.counters ??= readCounters(reader)
        break
      case IPVS_SVC_ATTR_STATS64:
        found.counters = readCounters(reader)
        break
      default:
        break
    }
  return found
}

const readFlags = (reader: Reader): number => {
  const value = reader.value()
  if (value.length !== 8) throw malformed(`flags of ${value.length} bytes`)
  return new DataView(value.buffer, value.byteOffset, 8).getUint32(0, littleEndian)
}

const virtualServerOf = (found: Found): ObservedVirtualServer | undefined => {
  const family = present(found.family, 'address family')
  const id =
    found.mark === undefined ? addressIdOf(family, found) : ({ kind: 'mark', family, mark: found.mark } as const)
  const bits = present(found.flags, 'flags')
  const mask = present(found.mask, 'netmask')
  const server = {
    scheduler: present(found.scheduler, 'scheduler'),
    flags: virtualServerFlags.filter((flag) => (bits & flagBits[flag]) !== 0),
    persistenceSeconds: present(found.timeout, 'timeout'),
    persistencePrefix: family === 'IPv4' ? ipv4Prefix(mask.network) : mask.host,
    counters: present(found.counters, 'counters'),
  }
  return id && { id, ...server }
}

const protocolOfNumber: ReadonlyMap<number, Protocol> = new Map([
  [protocolNumber.TCP, 'TCP'],
  [protocolNumber.UDP, 'UDP'],
  [protocolNumber.SCTP, 'SCTP'],
])

const addressIdOf = (family: Family, found: Found): VirtualServerId | undefined => {
  const ip = readAddress(family, present(found.address, 'address'))
  const port = present(found.port, 'port')
  const protocol = protocolOfNumber.get(present(found.protocol, 'protocol'))
  return protocol && { kind: 'address', protocol, ip, port }
}

import { addressBytes, type Family, type IP, readIP, writeIP } from '../../model/ip.ts'
import { type Protocol, protocolNumber } from '../../model/protocol.ts'
import { malformed } from '../netlink/error.ts'
import type { MessageReader, Reader, Writer } from '../netlink/wire.ts'
import type { Flow, FlowFilter, Tuple } from './conntrack.ts'
import {
  CTA_FILTER,
  CTA_FILTER_F_CTA_PROTO_NUM,
  CTA_FILTER_ORIG_FLAGS,
  CTA_ID,
  CTA_IP_V4_DST,
  CTA_IP_V4_SRC,
  CTA_IP_V6_DST,
  CTA_IP_V6_SRC,
  CTA_PROTO_DST_PORT,
  CTA_PROTO_NUM,
  CTA_PROTO_SRC_PORT,
  CTA_TUPLE_IP,
  CTA_TUPLE_ORIG,
  CTA_TUPLE_PROTO,
  CTA_TUPLE_REPLY,
  CTA_TUPLE_ZONE,
  CTA_ZONE,
  IPCTNL_MSG_CT_NEW,
  NFGENMSG_LEN,
  NFPROTO_IPV4,
  NFPROTO_IPV6,
} from './constants.ts'

const addressTypes = {
  IPv4: { family: NFPROTO_IPV4, source: CTA_IP_V4_SRC, destination: CTA_IP_V4_DST },
  IPv6: { family: NFPROTO_IPV6, source: CTA_IP_V6_SRC, destination: CTA_IP_V6_DST },
} as const satisfies Record<Family, unknown>

const writeHeader = (writer: Writer, family: Family): void => {
  const at = writer.reserve(NFGENMSG_LEN)
  writer.view.setUint8(at, addressTypes[family].family)
}

/** Of a dump. Kernels before 5.8 know no filter and send every protocol. */
export const flowsBody =
  ({ family, protocol }: FlowFilter) =>
  (writer: Writer): void => {
    writeHeader(writer, family)
    const tuple = writer.nest(CTA_TUPLE_ORIG)
    const inner = writer.nest(CTA_TUPLE_PROTO)
    writer.u8(CTA_PROTO_NUM, protocolNumber[protocol])
    writer.endNest(inner)
    writer.endNest(tuple)
    const filter = writer.nest(CTA_FILTER)
    writer.u32host(CTA_FILTER_ORIG_FLAGS, CTA_FILTER_F_CTA_PROTO_NUM)
    writer.endNest(filter)
  }

/** The whole original tuple and its zone find one entry; the number makes sure that it is the one that was seen. */
export const deleteBody =
  ({ family, protocol, original, zone, id }: Flow) =>
  (writer: Writer): void => {
    writeHeader(writer, family)
    const tuple = writer.nest(CTA_TUPLE_ORIG)
    const types = addressTypes[family]
    const addresses = writer.nest(CTA_TUPLE_IP)
    writeAddress(writer, types.source, family, original.source)
    writeAddress(writer, types.destination, family, original.destination)
    writer.endNest(addresses)
    const inner = writer.nest(CTA_TUPLE_PROTO)
    writer.u8(CTA_PROTO_NUM, protocolNumber[protocol])
    writer.u16be(CTA_PROTO_SRC_PORT, original.sourcePort)
    writer.u16be(CTA_PROTO_DST_PORT, original.destinationPort)
    writer.endNest(inner)
    writer.endNest(tuple)
    if (zone !== 0) writer.u16be(CTA_ZONE, zone)
    writer.u32be(CTA_ID, id)
  }

const writeAddress = (writer: Writer, type: number, family: Family, ip: IP): void => {
  const at = writer.attribute(type, addressBytes(family))
  writeIP(ip, writer.bytes, at)
}

/** Reads an entry; undefined for one that the filter does not mean. */
export const readFlow = (message: MessageReader, { family, protocol }: FlowFilter): Flow | undefined => {
  if (message.type !== IPCTNL_MSG_CT_NEW) throw malformed(`message type ${message.type} is no conntrack entry`)
  const attributes = message.attributes(NFGENMSG_LEN)
  if (message.bytes[message.start] !== addressTypes[family].family) return undefined
  let original: FoundTuple | undefined
  let reply: FoundTuple | undefined
  let zone: number | undefined
  let id: number | undefined
  while (attributes.next())
    if (attributes.type === CTA_TUPLE_ORIG) original = readTuple(attributes.nested(), family, protocol)
    else if (attributes.type === CTA_TUPLE_REPLY) reply = readTuple(attributes.nested(), family, protocol)
    else if (attributes.type === CTA_ZONE) zone = attributes.u16be()
    else if (attributes.type === CTA_ID) id = attributes.u32be()
  if (original === otherProtocol || reply === otherProtocol) return undefined
  if (original === undefined || reply === undefined || id === undefined)
    throw malformed('a conntrack entry lacks a tuple or its number')
  return {
    family,
    protocol,
    original: original.tuple,
    reply: reply.tuple,
    // A zone of one direction only is part of that direction's tuple.
    zone: zone ?? original.zone,
    id,
  }
}

type FoundTuple = { readonly tuple: Tuple; readonly zone: number } | typeof otherProtocol
const otherProtocol = 'other protocol'

/** {@link otherProtocol} for one of another protocol, which may have no ports. */
const readTuple = (tuple: Reader, family: Family, protocol: Protocol): FoundTuple => {
  let addresses: Pick<Tuple, 'source' | 'destination'> | undefined
  let ports: Pick<Tuple, 'sourcePort' | 'destinationPort'> | typeof otherProtocol | undefined
  let zone = 0
  while (tuple.next())
    if (tuple.type === CTA_TUPLE_IP) addresses = readAddresses(tuple.nested(), family)
    else if (tuple.type === CTA_TUPLE_PROTO) ports = readPorts(tuple.nested(), protocol)
    else if (tuple.type === CTA_TUPLE_ZONE) zone = tuple.u16be()
  if (ports === otherProtocol) return otherProtocol
  if (addresses === undefined || ports === undefined) throw malformed('a conntrack tuple lacks addresses or ports')
  return { tuple: { ...addresses, ...ports }, zone }
}

const readAddresses = (addresses: Reader, family: Family): Pick<Tuple, 'source' | 'destination'> => {
  const types = addressTypes[family]
  let source: IP | undefined
  let destination: IP | undefined
  while (addresses.next())
    if (addresses.type === types.source) source = readAddress(addresses, family)
    else if (addresses.type === types.destination) destination = readAddress(addresses, family)
  if (source === undefined || destination === undefined) throw malformed('a conntrack tuple lacks an address')
  return { source, destination }
}

const readAddress = ({ bytes, start, end }: Reader, family: Family): IP => {
  if (end - start !== addressBytes(family)) throw malformed(`an ${family} address of ${end - start} bytes`)
  return readIP(family, bytes, start)
}

const readPorts = (
  inner: Reader,
  protocol: Protocol,
): Pick<Tuple, 'sourcePort' | 'destinationPort'> | typeof otherProtocol => {
  let number: number | undefined
  let sourcePort: number | undefined
  let destinationPort: number | undefined
  while (inner.next())
    if (inner.type === CTA_PROTO_NUM) number = inner.u8()
    else if (inner.type === CTA_PROTO_SRC_PORT) sourcePort = inner.u16be()
    else if (inner.type === CTA_PROTO_DST_PORT) destinationPort = inner.u16be()
  if (number === undefined) throw malformed('a conntrack tuple lacks its protocol')
  if (number !== protocolNumber[protocol]) return otherProtocol
  if (sourcePort === undefined || destinationPort === undefined) throw malformed('a conntrack tuple lacks a port')
  return { sourcePort, destinationPort }
}

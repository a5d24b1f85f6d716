import type { Flow, FlowEnd } from '../../model/flow.ts'
import { addressBytes, type Family } from '../../model/ip.ts'
import { protocolNumber } from '../../model/protocol.ts'
import type { Writer } from '../netlink/wire.ts'
import type { FlowFilter } from './conntrack.ts'
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
  CTA_ZONE,
  NFGENMSG_LEN,
  NFPROTO_IPV4,
  NFPROTO_IPV6,
} from './constants.ts'

const types = {
  IPv4: { family: NFPROTO_IPV4, source: CTA_IP_V4_SRC, destination: CTA_IP_V4_DST },
  IPv6: { family: NFPROTO_IPV6, source: CTA_IP_V6_SRC, destination: CTA_IP_V6_DST },
} as const satisfies Record<Family, unknown>

export const writeHeader = (writer: Writer, family: Family): void => {
  const at = writer.reserve(NFGENMSG_LEN)
  writer.view.setUint8(at, types[family].family)
}

/** Of a dump of every protocol. */
export const allFlowsBody =
  (family: Family) =>
  (writer: Writer): void =>
    writeHeader(writer, family)

/**
 * Of a dump of one protocol. Never of an address: for IPv6 the kernel takes that part of the filter for its opposite
 * (ctnetlink_filter_match_tuple() of net/netfilter/nf_conntrack_netlink.c, up to 6.18 at least).
 */
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
  ({ family, protocol, source, destination, zone, id }: Flow) =>
  (writer: Writer): void => {
    writeHeader(writer, family)
    writeTuple(writer, CTA_TUPLE_ORIG, family, protocol, source, destination)
    if (zone !== 0) writer.u16be(CTA_ZONE, zone)
    writer.u32be(CTA_ID, id)
  }

export const writeTuple = (
  writer: Writer,
  type: number,
  family: Family,
  protocol: Flow['protocol'],
  source: FlowEnd,
  destination: FlowEnd,
): void => {
  const tuple = writer.nest(type)
  const addresses = writer.nest(CTA_TUPLE_IP)
  writeAddress(writer, types[family].source, family, source)
  writeAddress(writer, types[family].destination, family, destination)
  writer.endNest(addresses)
  const inner = writer.nest(CTA_TUPLE_PROTO)
  writer.u8(CTA_PROTO_NUM, protocolNumber[protocol])
  writer.u16be(CTA_PROTO_SRC_PORT, source.port)
  writer.u16be(CTA_PROTO_DST_PORT, destination.port)
  writer.endNest(inner)
  writer.endNest(tuple)
}

const writeAddress = (writer: Writer, type: number, family: Family, { w0, w1, w2, w3 }: FlowEnd): void => {
  const at = writer.attribute(type, addressBytes(family))
  writer.view.setInt32(at, w0)
  if (family === 'IPv4') return
  writer.view.setInt32(at + 4, w1)
  writer.view.setInt32(at + 8, w2)
  writer.view.setInt32(at + 12, w3)
}

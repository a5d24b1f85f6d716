import type { Writer } from '../netlink/wire.ts'
import {
  IPSET_ATTR_CADT_FLAGS,
  IPSET_ATTR_DATA,
  IPSET_ATTR_FAMILY,
  IPSET_ATTR_FLAGS,
  IPSET_ATTR_HASHSIZE,
  IPSET_ATTR_MAXELEM,
  IPSET_ATTR_PORT,
  IPSET_ATTR_PORT_TO,
  IPSET_ATTR_PROTOCOL,
  IPSET_ATTR_REVISION,
  IPSET_ATTR_SETNAME,
  IPSET_ATTR_SETNAME2,
  IPSET_ATTR_TYPENAME,
  IPSET_FLAG_LIST_HEADER,
  IPSET_FLAG_WITH_SKBINFO,
  NFGENMSG_LEN,
  NLA_F_NET_BYTEORDER,
} from './constants.ts'
import { familyNumber, NFPROTO_IPV4 } from './family-number.ts'
import type { SetSpec } from './ipset.ts'
import type { MemberShape } from './member-value.ts'

/** Any family will do here; the `ipset` program sends this one. */
const messageFamily = NFPROTO_IPV4

/** Everything of a request but the message header. */
export type Body = (writer: Writer) => void

export const protocolBody =
  (protocol: number): Body =>
  (writer) => {
    const at = writer.reserve(NFGENMSG_LEN)
    writer.view.setUint8(at, messageFamily)
    writer.u8(IPSET_ATTR_PROTOCOL, protocol)
  }

export const setBody =
  (protocol: number, name: string): Body =>
  (writer) => {
    protocolBody(protocol)(writer)
    writer.string(IPSET_ATTR_SETNAME, name)
  }

/** Of IPSET_CMD_SWAP and IPSET_CMD_RENAME. */
export const twoNamesBody =
  (protocol: number, one: string, other: string): Body =>
  (writer) => {
    setBody(protocol, one)(writer)
    writer.string(IPSET_ATTR_SETNAME2, other)
  }

export const listHeadersBody =
  (protocol: number): Body =>
  (writer) => {
    protocolBody(protocol)(writer)
    writer.u32be(IPSET_ATTR_FLAGS | NLA_F_NET_BYTEORDER, IPSET_FLAG_LIST_HEADER)
  }

export const typeBody =
  (protocol: number, shape: MemberShape): Body =>
  (writer) => {
    protocolBody(protocol)(writer)
    writer.string(IPSET_ATTR_TYPENAME, shape.type)
    writer.u8(IPSET_ATTR_FAMILY, familyNumber(shape))
  }

export const createBody =
  (protocol: number, revision: number, spec: SetSpec): Body =>
  (writer) => {
    setBody(protocol, spec.name)(writer)
    writer.string(IPSET_ATTR_TYPENAME, spec.type)
    writer.u8(IPSET_ATTR_REVISION, revision)
    writer.u8(IPSET_ATTR_FAMILY, familyNumber(spec))
    const data = writer.nest(IPSET_ATTR_DATA)
    if (spec.type === 'bitmap:port') {
      writer.u16be(IPSET_ATTR_PORT | NLA_F_NET_BYTEORDER, 0)
      writer.u16be(IPSET_ATTR_PORT_TO | NLA_F_NET_BYTEORDER, 0xffff)
    } else {
      writer.u32be(IPSET_ATTR_HASHSIZE | NLA_F_NET_BYTEORDER, hashSize(spec.maxElements))
      writer.u32be(IPSET_ATTR_MAXELEM | NLA_F_NET_BYTEORDER, spec.maxElements)
    }
    if (spec.marks) writer.u32be(IPSET_ATTR_CADT_FLAGS | NLA_F_NET_BYTEORDER, IPSET_FLAG_WITH_SKBINFO)
    writer.endNest(data)
  }

/** IPSET_MIMINAL_HASHSIZE (sic) of net/netfilter/ipset/ip_set_hash_gen.h. */
const leastHashSize = 64

/**
 * Buckets for a table that is never grown while it fills: the kernel grows it, copying everything, when a bucket has 12
 * members (AHASH_MAX_SIZE). With at most one member per bucket on average that befalls one of 2^17 buckets in one set
 * of 100,000.
 */
export const hashSize = (maxElements: number): number => {
  let size = leastHashSize
  while (size < maxElements) size *= 2
  return size
}

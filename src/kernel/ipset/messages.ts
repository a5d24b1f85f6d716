import type { Family } from '../../model/ip.ts'
import { malformed } from '../netlink/error.ts'
import type { MessageReader, Reader, Writer } from '../netlink/wire.ts'
import {
  IPSET_ATTR_ADT,
  IPSET_ATTR_DATA,
  IPSET_ATTR_ELEMENTS,
  IPSET_ATTR_FAMILY,
  IPSET_ATTR_FLAGS,
  IPSET_ATTR_HASHSIZE,
  IPSET_ATTR_MAXELEM,
  IPSET_ATTR_PORT,
  IPSET_ATTR_PORT_TO,
  IPSET_ATTR_PROTOCOL,
  IPSET_ATTR_PROTOCOL_MIN,
  IPSET_ATTR_REFERENCES,
  IPSET_ATTR_REVISION,
  IPSET_ATTR_REVISION_MIN,
  IPSET_ATTR_SETNAME,
  IPSET_ATTR_SETNAME2,
  IPSET_ATTR_TYPENAME,
  IPSET_FLAG_LIST_HEADER,
  NFGENMSG_LEN,
  NLA_F_NET_BYTEORDER,
} from './constants.ts'
import type { SetHeader, SetSpec, SetType } from './ipset.ts'
import type { MemberShape, MemberValue } from './member-value.ts'
import { readMember } from './member-wire.ts'

/** linux/netfilter.h */
const NFPROTO_UNSPEC = 0
const NFPROTO_IPV4 = 2
const NFPROTO_IPV6 = 10

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

export const swapBody =
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

const familyNumber = ({ type, family }: MemberShape): number => {
  if (type === 'bitmap:port') return NFPROTO_UNSPEC
  return family === 'IPv4' ? NFPROTO_IPV4 : NFPROTO_IPV6
}

const familyOfNumber = (number: number): Family | undefined => {
  switch (number) {
    case NFPROTO_UNSPEC:
      return undefined
    case NFPROTO_IPV4:
      return 'IPv4'
    case NFPROTO_IPV6:
      return 'IPv6'
    default:
      throw malformed(`set of family ${number}`)
  }
}

/** The lowest and the highest that the kernel offers. */
export interface Offer {
  readonly least: number
  readonly most: number
}

export const readProtocol = (message: MessageReader): Offer =>
  readOffer(message, IPSET_ATTR_PROTOCOL_MIN, IPSET_ATTR_PROTOCOL)
export const readRevision = (message: MessageReader): Offer =>
  readOffer(message, IPSET_ATTR_REVISION_MIN, IPSET_ATTR_REVISION)

const readOffer = (message: MessageReader, leastType: number, mostType: number): Offer => {
  let least: number | undefined
  let most: number | undefined
  const attributes = message.attributes(NFGENMSG_LEN)
  while (attributes.next()) {
    if (attributes.type === leastType) least = attributes.u8()
    else if (attributes.type === mostType) most = attributes.u8()
  }
  if (least === undefined || most === undefined) throw malformed('an offer without bounds')
  return { least, most }
}

export interface SetIdentity {
  readonly name: string
  readonly type: string
  readonly family: Family | undefined
}

/** Whether a set is what it is taken for. */
export const isOfShape = ({ type, family }: SetIdentity, shape: MemberShape): boolean =>
  type === shape.type && (type === ('bitmap:port' satisfies SetType) || family === shape.family)

/** The answer to IPSET_CMD_HEADER. */
export const readIdentity = (message: MessageReader): SetIdentity => {
  const { identity } = readParts(message)
  if (identity === undefined) throw malformed('set without a type')
  return identity
}

/** A message of a dump with IPSET_FLAG_LIST_HEADER. */
export const readHeader = (message: MessageReader): SetHeader => {
  const { identity, data } = readParts(message)
  if (identity === undefined || data === undefined) throw malformed('set without a header')
  let maxElements: number | undefined
  let entries: number | undefined
  let references: number | undefined
  while (data.next()) {
    if (data.type === IPSET_ATTR_MAXELEM) maxElements = data.u32be()
    else if (data.type === IPSET_ATTR_ELEMENTS) entries = data.u32be()
    else if (data.type === IPSET_ATTR_REFERENCES) references = data.u32be()
  }
  if (entries === undefined || references === undefined) throw malformed(`header of ${identity.name} lacks counts`)
  return { ...identity, maxElements, entries, references }
}

/**
 * A message of a dump with members. `identity` only in the first; the members are read one by one, as
 * {@link readMember} does.
 */
export const readMembers = (
  message: MessageReader,
  shape: MemberShape,
  onIdentity: (identity: SetIdentity) => void,
  onMember: (value: MemberValue) => void,
): void => {
  const { identity, members } = readParts(message)
  if (identity !== undefined) onIdentity(identity)
  while (members?.next()) {
    if (members.type !== IPSET_ATTR_DATA) throw malformed(`attribute ${members.type} between members`)
    onMember(readMember(shape, members.nested()))
  }
}

interface Parts {
  readonly identity: SetIdentity | undefined
  readonly data: Reader | undefined
  readonly members: Reader | undefined
}

const readParts = (message: MessageReader): Parts => {
  let name: string | undefined
  let type: string | undefined
  let family: number | undefined
  let data: Reader | undefined
  let members: Reader | undefined
  const attributes = message.attributes(NFGENMSG_LEN)
  while (attributes.next()) {
    if (attributes.type === IPSET_ATTR_SETNAME) name = attributes.string()
    else if (attributes.type === IPSET_ATTR_TYPENAME) type = attributes.string()
    else if (attributes.type === IPSET_ATTR_FAMILY) family = attributes.u8()
    else if (attributes.type === IPSET_ATTR_DATA) data = attributes.nested()
    else if (attributes.type === IPSET_ATTR_ADT) members = attributes.nested()
  }
  if (name === undefined) throw malformed('set without a name')
  if (type === undefined) return { identity: undefined, data, members }
  if (family === undefined) throw malformed(`set ${name} without a family`)
  return { identity: { name, type, family: familyOfNumber(family) }, data, members }
}

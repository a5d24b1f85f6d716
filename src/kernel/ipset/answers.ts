import type { Family } from '../../model/ip.ts'
import { malformed } from '../netlink/error.ts'
import type { MessageReader, Reader } from '../netlink/wire.ts'
import {
  IPSET_ATTR_ADT,
  IPSET_ATTR_BITMASK,
  IPSET_ATTR_CADT_FLAGS,
  IPSET_ATTR_DATA,
  IPSET_ATTR_ELEMENTS,
  IPSET_ATTR_FAMILY,
  IPSET_ATTR_MARKMASK,
  IPSET_ATTR_MAXELEM,
  IPSET_ATTR_NETMASK,
  IPSET_ATTR_PORT,
  IPSET_ATTR_PORT_TO,
  IPSET_ATTR_PROTOCOL,
  IPSET_ATTR_PROTOCOL_MIN,
  IPSET_ATTR_REFERENCES,
  IPSET_ATTR_REVISION,
  IPSET_ATTR_REVISION_MIN,
  IPSET_ATTR_SETNAME,
  IPSET_ATTR_TIMEOUT,
  IPSET_ATTR_TYPENAME,
  IPSET_FLAG_WITH_COMMENT,
  IPSET_FLAG_WITH_COUNTERS,
  IPSET_FLAG_WITH_FORCEADD,
  IPSET_FLAG_WITH_SKBINFO,
  NFGENMSG_LEN,
} from './constants.ts'
import { familyOfNumber } from './family-number.ts'
import type { SetHeader } from './ipset.ts'
import type { MemberShape, MemberValue } from './member-value.ts'
import { readMember } from './member-wire.ts'

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
  type === shape.type && (type === 'bitmap:port' || family === shape.family)

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
  const options = new Set<string>()
  let isWholeRange = true
  while (data.next()) {
    const option = optionNames.get(data.type)
    if (option !== undefined) options.add(option)
    else if (data.type === IPSET_ATTR_CADT_FLAGS) for (const name of namesOfFlags(data.u32be())) options.add(name)
    else if (data.type === IPSET_ATTR_PORT) isWholeRange &&= data.u16be() === 0
    else if (data.type === IPSET_ATTR_PORT_TO) isWholeRange &&= data.u16be() === 0xffff
    else if (data.type === IPSET_ATTR_MAXELEM) maxElements = data.u32be()
    else if (data.type === IPSET_ATTR_ELEMENTS) entries = data.u32be()
    else if (data.type === IPSET_ATTR_REFERENCES) references = data.u32be()
  }
  if (entries === undefined || references === undefined) throw malformed(`header of ${identity.name} lacks counts`)
  if (!isWholeRange) options.add('range')
  return { ...identity, maxElements, options: [...options].sort(), entries, references }
}

const optionNames: ReadonlyMap<number, string> = new Map([
  [IPSET_ATTR_TIMEOUT, 'timeout'],
  [IPSET_ATTR_MARKMASK, 'markmask'],
  [IPSET_ATTR_BITMASK, 'bitmask'],
  [IPSET_ATTR_NETMASK, 'netmask'],
])

const flagNames: readonly (readonly [flag: number, name: string])[] = [
  [IPSET_FLAG_WITH_COUNTERS, 'counters'],
  [IPSET_FLAG_WITH_COMMENT, 'comment'],
  [IPSET_FLAG_WITH_FORCEADD, 'forceadd'],
  [IPSET_FLAG_WITH_SKBINFO, 'skbinfo'],
]

const namesOfFlags = (flags: number): readonly string[] => {
  const named = flagNames.filter(([flag]) => (flags & flag) !== 0)
  const rest = named.reduce((left, [flag]) => left & ~flag, flags) >>> 0
  const names = named.map(([, name]) => name)
  return rest === 0 ? names : [...names, `flags 0x${rest.toString(16)}`]
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

import { malformed } from '../netlink/error.ts'
import type { MessageReader, Reader } from '../netlink/wire.ts'
import { readComment } from './comment.ts'
import {
  familyName,
  NFGENMSG_LEN,
  NFT_DATA_VERDICT,
  NFT_SET_MAP,
  NFTA_CHAIN_HANDLE,
  NFTA_CHAIN_HOOK,
  NFTA_CHAIN_NAME,
  NFTA_CHAIN_USE,
  NFTA_CHAIN_USERDATA,
  NFTA_GEN_ID,
  NFTA_RULE_CHAIN,
  NFTA_RULE_EXPRESSIONS,
  NFTA_RULE_HANDLE,
  NFTA_RULE_USERDATA,
  NFTA_SET_DATA_LEN,
  NFTA_SET_DATA_TYPE,
  NFTA_SET_FLAGS,
  NFTA_SET_HANDLE,
  NFTA_SET_KEY_LEN,
  NFTA_SET_NAME,
  NFTA_SET_USERDATA,
  NFTA_TABLE_HANDLE,
  NFTA_TABLE_NAME,
  NFTA_TABLE_USERDATA,
  type TableFamily,
  UDATA_SET_COMMENT,
} from './constants.ts'
import type { ChainInfo, RuleInfo, SetInfo, TableInfo } from './objects.ts'

/** The family byte of nfgenmsg. Undefined for a family that is not known here. */
export const readFamily = (message: MessageReader): TableFamily | undefined => {
  if (message.end - message.start < NFGENMSG_LEN) throw malformed('no nfgenmsg')
  return familyName(message.bytes[message.start] ?? -1)
}

const required = <T>(value: T | undefined, what: string): T => {
  if (value === undefined) throw malformed(`no ${what}`)
  return value
}

/** NFT_MSG_NEWTABLE. Undefined for a family that is not known here. */
export const readTable = (message: MessageReader): TableInfo | undefined => {
  const family = readFamily(message)
  let name: string | undefined
  let handle: bigint | undefined
  let comment: string | undefined
  const attributes = message.attributes(NFGENMSG_LEN)
  while (attributes.next()) {
    if (attributes.type === NFTA_TABLE_NAME) name = attributes.string()
    else if (attributes.type === NFTA_TABLE_HANDLE) handle = attributes.u64be()
    else if (attributes.type === NFTA_TABLE_USERDATA) comment = readComment(attributes.value())
  }
  const info = { name: required(name, 'table name'), handle: required(handle, 'table handle'), comment }
  return family === undefined ? undefined : { family, ...info }
}

/** NFT_MSG_NEWCHAIN. */
export const readChain = (message: MessageReader): ChainInfo => {
  let name: string | undefined
  let handle: bigint | undefined
  let comment: string | undefined
  let use = 0
  let base = false
  const attributes = message.attributes(NFGENMSG_LEN)
  while (attributes.next()) {
    if (attributes.type === NFTA_CHAIN_NAME) name = attributes.string()
    else if (attributes.type === NFTA_CHAIN_HANDLE) handle = attributes.u64be()
    else if (attributes.type === NFTA_CHAIN_USERDATA) comment = readComment(attributes.value())
    else if (attributes.type === NFTA_CHAIN_USE) use = attributes.u32be()
    else if (attributes.type === NFTA_CHAIN_HOOK) base = true
  }
  return { name: required(name, 'chain name'), handle: required(handle, 'chain handle'), comment, base, use }
}

/** NFT_MSG_NEWSET. */
export const readSet = (message: MessageReader): SetInfo => {
  let name: string | undefined
  let handle = 0n
  let comment: string | undefined
  let flags = 0
  let keyLength: number | undefined
  let dataType = 0
  let dataLength = 0
  const attributes = message.attributes(NFGENMSG_LEN)
  while (attributes.next()) {
    if (attributes.type === NFTA_SET_NAME) name = attributes.string()
    else if (attributes.type === NFTA_SET_HANDLE) handle = attributes.u64be()
    else if (attributes.type === NFTA_SET_USERDATA) comment = readComment(attributes.value(), UDATA_SET_COMMENT)
    else if (attributes.type === NFTA_SET_FLAGS) flags = attributes.u32be()
    else if (attributes.type === NFTA_SET_KEY_LEN) keyLength = attributes.u32be()
    else if (attributes.type === NFTA_SET_DATA_TYPE) dataType = attributes.u32be()
    else if (attributes.type === NFTA_SET_DATA_LEN) dataLength = attributes.u32be()
  }
  return {
    name: required(name, 'set name'),
    handle,
    comment,
    flags,
    keyLength: required(keyLength, 'set key length'),
    data: setData(flags, dataType, dataLength),
  }
}

const setData = (flags: number, type: number, length: number): SetInfo['data'] => {
  if ((flags & NFT_SET_MAP) === 0) return { kind: 'none' }
  return type === NFT_DATA_VERDICT ? { kind: 'verdict' } : { kind: 'value', length }
}

/** NFT_MSG_NEWRULE. */
export const readRule = (message: MessageReader): RuleInfo => {
  let chain: string | undefined
  let handle: bigint | undefined
  let comment: string | undefined
  let expressions = new Uint8Array()
  const attributes = message.attributes(NFGENMSG_LEN)
  while (attributes.next()) {
    if (attributes.type === NFTA_RULE_CHAIN) chain = attributes.string()
    else if (attributes.type === NFTA_RULE_HANDLE) handle = attributes.u64be()
    else if (attributes.type === NFTA_RULE_USERDATA) comment = readComment(attributes.value())
    else if (attributes.type === NFTA_RULE_EXPRESSIONS) expressions = attributes.value().slice()
  }
  return { chain: required(chain, 'rule chain'), handle: required(handle, 'rule handle'), comment, expressions }
}

/** NFT_MSG_NEWGEN: the generation of the ruleset, 32 bits, never 0. */
export const readGeneration = (message: MessageReader): number => {
  const attributes = message.attributes(NFGENMSG_LEN)
  while (attributes.next()) if (attributes.type === NFTA_GEN_ID) return attributes.u32be()
  throw malformed('no generation')
}

/** The low 16 bits of the generation that a dumped message was taken from: nfgenmsg's res_id. */
export const readGenerationBits = (message: MessageReader): number => {
  if (message.end - message.start < NFGENMSG_LEN) throw malformed('no nfgenmsg')
  return ((message.bytes[message.start + 2] ?? 0) << 8) | (message.bytes[message.start + 3] ?? 0)
}

/** An attribute of a message that holds a name, e.g. its table's. */
export const readName = (message: MessageReader, attribute: number): string | undefined => {
  const attributes: Reader = message.attributes(NFGENMSG_LEN)
  while (attributes.next()) if (attributes.type === attribute) return attributes.string()
  return undefined
}

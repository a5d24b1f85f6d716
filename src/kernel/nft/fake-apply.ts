import { malformed } from '../netlink/error.ts'
import { type MessageReader, Reader } from '../netlink/wire.ts'
import { readComment } from './comment.ts'
import {
  NFGENMSG_LEN,
  NFT_MSG_DELCHAIN,
  NFT_MSG_DELRULE,
  NFT_MSG_DELSETELEM,
  NFT_MSG_DELTABLE,
  NFT_MSG_NEWCHAIN,
  NFT_MSG_NEWRULE,
  NFT_MSG_NEWSETELEM,
  NFT_MSG_NEWTABLE,
  NFT_SET_TIMEOUT,
  NFTA_CHAIN_NAME,
  NFTA_CHAIN_TABLE,
  NFTA_CHAIN_USERDATA,
  NFTA_EXPR_DATA,
  NFTA_EXPR_NAME,
  NFTA_RULE_CHAIN,
  NFTA_RULE_EXPRESSIONS,
  NFTA_RULE_TABLE,
  NFTA_RULE_USERDATA,
  NFTA_SET_ELEM_LIST_ELEMENTS,
  NFTA_SET_ELEM_LIST_SET,
  NFTA_SET_ELEM_LIST_TABLE,
  NFTA_TABLE_NAME,
  NFTA_TABLE_USERDATA,
} from './constants.ts'
import { readFamily, readName } from './decode.ts'
import { type OnElement, readData, readElements } from './element.ts'
import {
  type FakeChain,
  type FakeElement,
  type FakeSet,
  type FakeState,
  type FakeTable,
  referencesTo,
  tableKey,
} from './fake-state.ts'
import { type Verdict, verdictCode } from './verdict.ts'

/** The kernel's answer to one message. `offset`: somewhere in the element that it is about, from the message's header. */
export class Refused extends Error {
  readonly errno: number
  readonly offset: number | undefined

  constructor(errno: number, offset?: number) {
    super(`refused with errno ${errno}`)
    this.errno = errno
    this.offset = offset
  }
}

const ENOENT = 2
const EBUSY = 16
const EEXIST = 17
const EINVAL = 22
const EOPNOTSUPP = 95

/** Does what one message of a batch asks for; throws {@link Refused} as net/netfilter/nf_tables_api.c would answer. */
export const applyMessage = (state: FakeState, message: MessageReader): void => {
  switch (message.type) {
    case NFT_MSG_NEWTABLE:
      newTable(state, message)
      return
    case NFT_MSG_DELTABLE:
      tableOf(state, message, NFTA_TABLE_NAME)
      state.remove(state.tables, keyOf(message, NFTA_TABLE_NAME))
      return
    case NFT_MSG_NEWCHAIN:
      newChain(state, message)
      return
    case NFT_MSG_DELCHAIN:
      deleteChain(state, message)
      return
    case NFT_MSG_NEWRULE:
      newRule(state, message)
      return
    case NFT_MSG_DELRULE:
      state.clear(chainOf(tableOf(state, message, NFTA_RULE_TABLE), message, NFTA_RULE_CHAIN).rules)
      return
    case NFT_MSG_NEWSETELEM:
      newElements(state, message)
      return
    case NFT_MSG_DELSETELEM:
      deleteElements(state, message)
      return
    default:
      throw malformed(`message type ${message.type} in a batch`)
  }
}

const keyOf = (message: MessageReader, attribute: number): string => {
  const family = readFamily(message)
  const name = readName(message, attribute)
  if (family === undefined || name === undefined) throw new Refused(EINVAL)
  return tableKey(family, name)
}

const tableOf = (state: FakeState, message: MessageReader, attribute: number): FakeTable => {
  const table = state.tables.get(keyOf(message, attribute))
  if (table === undefined) throw new Refused(ENOENT)
  return table
}

const chainOf = (table: FakeTable, message: MessageReader, attribute: number): FakeChain => {
  const chain = table.chains.get(readName(message, attribute) ?? '')
  if (chain === undefined) throw new Refused(ENOENT)
  return chain
}

const commentOf = (message: MessageReader, attribute: number): string | undefined => {
  const attributes = message.attributes(NFGENMSG_LEN)
  while (attributes.next()) if (attributes.type === attribute) return readComment(attributes.value())
  return undefined
}

const newTable = (state: FakeState, message: MessageReader): void => {
  const key = keyOf(message, NFTA_TABLE_NAME)
  if (state.tables.has(key)) return
  const family = readFamily(message)
  const name = readName(message, NFTA_TABLE_NAME)
  if (family === undefined || name === undefined) throw new Refused(EINVAL)
  const comment = commentOf(message, NFTA_TABLE_USERDATA)
  const handle = state.nextHandle()
  state.put(state.tables, key, { family, name, comment, handle, chains: new Map(), sets: new Map() })
}

const newChain = (state: FakeState, message: MessageReader): void => {
  const { chains } = tableOf(state, message, NFTA_CHAIN_TABLE)
  const name = readName(message, NFTA_CHAIN_NAME)
  if (name === undefined) throw new Refused(EINVAL)
  if (chains.has(name)) {
    state.touch()
    return
  }
  const comment = commentOf(message, NFTA_CHAIN_USERDATA)
  state.put(chains, name, { name, comment, handle: state.nextHandle(), base: false, rules: [] })
}

const deleteChain = (state: FakeState, message: MessageReader): void => {
  const table = tableOf(state, message, NFTA_CHAIN_TABLE)
  const { name } = chainOf(table, message, NFTA_CHAIN_NAME)
  if (referencesTo(table, name, false) > 0) throw new Refused(EBUSY)
  state.remove(table.chains, name)
}

const newRule = (state: FakeState, message: MessageReader): void => {
  const table = tableOf(state, message, NFTA_RULE_TABLE)
  const { rules } = chainOf(table, message, NFTA_RULE_CHAIN)
  const attributes = message.attributes(NFGENMSG_LEN)
  let expressions = new Uint8Array()
  while (attributes.next()) if (attributes.type === NFTA_RULE_EXPRESSIONS) expressions = attributes.value().slice()
  const { chains, sets } = references(expressions)
  for (const set of sets) if (!table.sets.has(set)) throw new Refused(ENOENT)
  for (const chain of chains) checkTarget(table, chain)
  const comment = commentOf(message, NFTA_RULE_USERDATA)
  state.append(rules, { handle: state.nextHandle(), comment, expressions, chains, sets })
}

const checkTarget = (table: FakeTable, name: string): void => {
  const chain = table.chains.get(name)
  if (chain === undefined) throw new Refused(ENOENT)
  if (chain.base) throw new Refused(EOPNOTSUPP)
}

/** Attributes that name a set, by the kernel's name of the expression. */
const setAttribute = new Map([
  ['lookup', 1],
  ['dynset', 1],
])
const immediateData = 2

/** Chains and sets that the content of NFTA_RULE_EXPRESSIONS names. */
const references = (expressions: Uint8Array): { readonly chains: string[]; readonly sets: string[] } => {
  const chains: string[] = []
  const sets: string[] = []
  const list = new Reader(expressions)
  while (list.next()) {
    const expression = list.nested()
    let name = ''
    while (expression.next()) {
      if (expression.type === NFTA_EXPR_NAME) name = expression.string()
      if (expression.type !== NFTA_EXPR_DATA) continue
      const data = expression.nested()
      while (data.next()) {
        if (data.type === setAttribute.get(name)) sets.push(data.string())
        if (name !== 'immediate' || data.type !== immediateData) continue
        const value = readData(data, data.nested())
        if ('kind' in value && (value.kind === 'goto' || value.kind === 'jump')) chains.push(value.chain)
      }
    }
  }
  return { chains, sets }
}

const setOf = (table: FakeTable, message: MessageReader): FakeSet => {
  const set = table.sets.get(readName(message, NFTA_SET_ELEM_LIST_SET) ?? '')
  if (set === undefined) throw new Refused(ENOENT)
  return set
}

/** Calls `onElement` for every element; a refusal says which one it was about. */
const eachElement = (message: MessageReader, onElement: OnElement): void => {
  readElements(message, (key, ...rest) => {
    try {
      onElement(key, ...rest)
    } catch (error) {
      if (!(error instanceof Refused)) throw error
      throw new Refused(error.errno, key.byteOffset - message.bytes.byteOffset - message.at)
    }
  })
}

const newElements = (state: FakeState, message: MessageReader): void => {
  const table = tableOf(state, message, NFTA_SET_ELEM_LIST_TABLE)
  const set = setOf(table, message)
  eachElement(message, (key, keyEnd, data, comment, flags, timeout) => {
    checkElement(table, set, key, data)
    if (timeout !== undefined && (set.flags & NFT_SET_TIMEOUT) === 0) throw new Refused(EINVAL)
    const id = elementId(key, keyEnd, flags)
    const existing = set.elements.get(id)
    if (existing !== undefined) {
      if (!sameData(existing.data, data)) throw new Refused(EEXIST)
      return
    }
    const copy = data instanceof Uint8Array ? data.slice() : data
    state.put(set.elements, id, { key: key.slice(), keyEnd: keyEnd?.slice(), data: copy, comment, flags })
  })
}

const checkElement = (table: FakeTable, set: FakeSet, key: Uint8Array, data: FakeElement['data']): void => {
  if (key.length !== set.keyLength) throw new Refused(EINVAL)
  switch (set.data.kind) {
    case 'none':
      if (data !== undefined) throw new Refused(EINVAL)
      return
    case 'value':
      if (!(data instanceof Uint8Array) || data.length !== set.data.length) throw new Refused(EINVAL)
      return
    case 'verdict':
      if (data === undefined || data instanceof Uint8Array) throw new Refused(EINVAL)
      if (data.kind === 'goto' || data.kind === 'jump') checkTarget(table, data.chain)
  }
}

const deleteElements = (state: FakeState, message: MessageReader): void => {
  const set = setOf(tableOf(state, message, NFTA_SET_ELEM_LIST_TABLE), message)
  if (!hasAttribute(message, NFTA_SET_ELEM_LIST_ELEMENTS)) {
    for (const id of [...set.elements.keys()]) state.remove(set.elements, id)
    return
  }
  eachElement(message, (key, keyEnd, _data, _comment, flags) => {
    if (key.length !== set.keyLength) throw new Refused(EINVAL)
    const id = elementId(key, keyEnd, flags)
    if (!set.elements.has(id)) throw new Refused(ENOENT)
    state.remove(set.elements, id)
  })
}

const hasAttribute = (message: MessageReader, attribute: number): boolean => {
  const attributes = message.attributes(NFGENMSG_LEN)
  while (attributes.next()) if (attributes.type === attribute) return true
  return false
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex')

const elementId = (key: Uint8Array, keyEnd: Uint8Array | undefined, flags: number): string =>
  `${hex(key)}-${keyEnd === undefined ? '' : hex(keyEnd)}-${flags}`

const sameData = (a: FakeElement['data'], b: FakeElement['data']): boolean => {
  if (a === undefined || b === undefined) return a === b
  if (a instanceof Uint8Array || b instanceof Uint8Array)
    return a instanceof Uint8Array && b instanceof Uint8Array && hex(a) === hex(b)
  return verdictText(a) === verdictText(b)
}

const verdictText = (verdict: Verdict): string =>
  `${verdictCode[verdict.kind]} ${'chain' in verdict ? verdict.chain : ''}`

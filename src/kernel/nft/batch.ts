import {
  NLA_F_NESTED,
  NLA_HDRLEN,
  NLA_MAXLEN,
  NLM_F_ACK,
  NLM_F_APPEND,
  NLM_F_CREATE,
  NLM_F_REQUEST,
  NLMSG_HDRLEN,
} from '../netlink/constants.ts'
import { align4, littleEndian, Reader, Writer } from '../netlink/wire.ts'
import { writeComment } from './comment.ts'
import {
  familyNumber,
  NFGENMSG_LEN,
  NFNL_MSG_BATCH_BEGIN,
  NFNL_MSG_BATCH_END,
  NFNL_SUBSYS_NFTABLES,
  NFT_MSG_DELCHAIN,
  NFT_MSG_DELRULE,
  NFT_MSG_DELSETELEM,
  NFT_MSG_DELTABLE,
  NFT_MSG_NEWCHAIN,
  NFT_MSG_NEWRULE,
  NFT_MSG_NEWSETELEM,
  NFT_MSG_NEWTABLE,
  NFT_SET_ELEM_INTERVAL_END,
  NFTA_CHAIN_NAME,
  NFTA_CHAIN_TABLE,
  NFTA_CHAIN_USERDATA,
  NFTA_DATA_VALUE,
  NFTA_LIST_ELEM,
  NFTA_RULE_CHAIN,
  NFTA_RULE_EXPRESSIONS,
  NFTA_RULE_TABLE,
  NFTA_RULE_USERDATA,
  NFTA_SET_ELEM_DATA,
  NFTA_SET_ELEM_FLAGS,
  NFTA_SET_ELEM_KEY,
  NFTA_SET_ELEM_KEY_END,
  NFTA_SET_ELEM_LIST_ELEMENTS,
  NFTA_SET_ELEM_LIST_SET,
  NFTA_SET_ELEM_LIST_TABLE,
  NFTA_SET_ELEM_TIMEOUT,
  NFTA_SET_ELEM_USERDATA,
  NFTA_TABLE_NAME,
  NFTA_TABLE_USERDATA,
  type TableFamily,
} from './constants.ts'
import type { Expr } from './expr.ts'
import { writeExpressions } from './expr-encode.ts'
import { Marks } from './marks.ts'
import { type Verdict, writeVerdict } from './verdict.ts'

const create = NLM_F_REQUEST | NLM_F_CREATE
const none = -1

/**
 * One atomic nfnetlink batch for one table, encoded while it is described. Elements cost no allocation:
 *
 *     batch.elements('add', 'endpoints')
 *     const key = batch.element(12)       // where the key goes …
 *     writeIP(ip, batch.bytes, key)       // … in `bytes`, which any call may replace
 *     const data = batch.data(8)
 *     …
 *     batch.endElement()
 *
 * Order matters to the kernel: what is referenced comes first, what refers goes first. A map element whose data changes
 * is deleted, then added.
 */
export class Batch {
  readonly family: TableFamily
  readonly table: string
  readonly #writer = new Writer(1024)
  #messages = 0
  #finished = false

  /** What elements() asked for: 0 = nothing yet. */
  #type = 0
  #set = ''
  /** The open NEWSETELEM or DELSETELEM message, its list of elements, and the element being written. */
  #message = none
  #list = none
  #element = none

  readonly #marks = new Marks()

  constructor(family: TableFamily, table: string) {
    this.family = family
    this.table = table
    this.#control(NFNL_MSG_BATCH_BEGIN, NLM_F_REQUEST)
  }

  /** The buffer being written. Replaced when it grows: fetch it after every call that reserves. */
  get bytes(): Uint8Array {
    return this.#writer.bytes
  }

  /** Over the same buffer, with the same caveat. */
  get view(): DataView {
    return this.#writer.view
  }

  /** Bytes so far. */
  get size(): number {
    return this.#writer.length
  }

  /** Messages that change something; 0 = committing would do nothing. */
  get messages(): number {
    return this.#messages
  }

  /** What follows belongs to `tag`: an error about it carries the tag. */
  mark(tag: unknown): void {
    if (this.#element !== none) throw misuse('an element is still open')
    this.#marks.add(this.#writer.length, tag)
  }

  addTable(comment?: string): void {
    const message = this.#begin(NFT_MSG_NEWTABLE, create)
    this.#writer.string(NFTA_TABLE_NAME, this.table)
    if (comment !== undefined) writeComment(this.#writer, NFTA_TABLE_USERDATA, comment)
    this.#writer.endMessage(message)
  }

  deleteTable(): void {
    const message = this.#begin(NFT_MSG_DELTABLE, NLM_F_REQUEST)
    this.#writer.string(NFTA_TABLE_NAME, this.table)
    this.#writer.endMessage(message)
  }

  /** A regular chain (no hook). Adding one that exists does nothing. */
  addChain(name: string, comment?: string): void {
    const message = this.#begin(NFT_MSG_NEWCHAIN, create)
    this.#writer.string(NFTA_CHAIN_TABLE, this.table)
    this.#writer.string(NFTA_CHAIN_NAME, name)
    if (comment !== undefined) writeComment(this.#writer, NFTA_CHAIN_USERDATA, comment)
    this.#writer.endMessage(message)
  }

  /** With the rules in it. `busy` while a rule or an element points to it. */
  deleteChain(name: string): void {
    const message = this.#begin(NFT_MSG_DELCHAIN, NLM_F_REQUEST)
    this.#writer.string(NFTA_CHAIN_TABLE, this.table)
    this.#writer.string(NFTA_CHAIN_NAME, name)
    this.#writer.endMessage(message)
  }

  /** Removes the rules of a chain. */
  flushChain(name: string): void {
    const message = this.#begin(NFT_MSG_DELRULE, NLM_F_REQUEST)
    this.#writer.string(NFTA_RULE_TABLE, this.table)
    this.#writer.string(NFTA_RULE_CHAIN, name)
    this.#writer.endMessage(message)
  }

  /** Appends. */
  addRule(chain: string, expressions: readonly Expr[], comment?: string): void {
    const message = this.#begin(NFT_MSG_NEWRULE, create | NLM_F_APPEND)
    this.#writer.string(NFTA_RULE_TABLE, this.table)
    this.#writer.string(NFTA_RULE_CHAIN, chain)
    const list = this.#writer.nest(NFTA_RULE_EXPRESSIONS)
    writeExpressions(this.#writer, expressions)
    this.#writer.endNest(list)
    if (comment !== undefined) writeComment(this.#writer, NFTA_RULE_USERDATA, comment)
    this.#writer.endMessage(message)
  }

  /** Removes every element of a set or map. */
  flushSet(name: string): void {
    const message = this.#begin(NFT_MSG_DELSETELEM, NLM_F_REQUEST)
    this.#writer.string(NFTA_SET_ELEM_LIST_TABLE, this.table)
    this.#writer.string(NFTA_SET_ELEM_LIST_SET, name)
    this.#writer.endMessage(message)
  }

  /** The elements that follow are added to or deleted from `set`. Continues the open message if it can. */
  elements(op: 'add' | 'delete', set: string): void {
    const type = op === 'add' ? NFT_MSG_NEWSETELEM : NFT_MSG_DELSETELEM
    if (this.#type === type && this.#set === set) return
    this.#close()
    this.#type = type
    this.#set = set
  }

  /** Begins an element with a key of `keyLength` bytes, zeroed; returns the offset in `bytes` where the key goes. */
  element(keyLength: number): number {
    if (this.#type === 0 || this.#element !== none) throw misuse('an element begins after elements() or endElement()')
    if (this.#message === none) this.#open()
    this.#element = this.#nest(NFTA_LIST_ELEM)
    return this.#nestedValue(NFTA_SET_ELEM_KEY, keyLength)
  }

  /** The last key of a range, inclusive, in a set of concatenated ranges. */
  keyEnd(length: number): number {
    this.#inElement()
    return this.#nestedValue(NFTA_SET_ELEM_KEY_END, length)
  }

  /** The value of a map element; returns the offset where it goes. */
  data(length: number): number {
    this.#inElement()
    return this.#nestedValue(NFTA_SET_ELEM_DATA, length)
  }

  /** The verdict of a verdict map element. */
  verdict(verdict: Verdict): void {
    this.#inElement()
    const nest = this.#writer.nest(NFTA_SET_ELEM_DATA)
    writeVerdict(this.#writer, verdict)
    this.#writer.endNest(nest)
  }

  /** Shown by nft; cut after 128 bytes. */
  comment(text: string): void {
    this.#inElement()
    writeComment(this.#writer, NFTA_SET_ELEM_USERDATA, text)
  }

  /** Milliseconds; the set must have the flag `timeout`. */
  timeout(milliseconds: number): void {
    this.#inElement()
    const at = this.#writer.attribute(NFTA_SET_ELEM_TIMEOUT, 8)
    this.#writer.view.setUint32(at, Math.floor(milliseconds / 2 ** 32))
    this.#writer.view.setUint32(at + 4, milliseconds >>> 0)
  }

  /** In a plain interval set: this key is the first one after the interval that began with the element before it. */
  intervalEnd(): void {
    this.#inElement()
    this.#writer.u32be(NFTA_SET_ELEM_FLAGS, NFT_SET_ELEM_INTERVAL_END)
  }

  endElement(): void {
    const element = this.#inElement()
    this.#writer.endNest(element)
    this.#element = none
    if (this.#writer.length - this.#list > NLA_MAXLEN) this.#split(element)
  }

  /** Ends the batch and returns its bytes. Nothing can be added afterwards; calling it again returns the same. */
  finish(): Uint8Array {
    if (!this.#finished) {
      this.#close()
      this.#control(NFNL_MSG_BATCH_END, NLM_F_REQUEST | NLM_F_ACK)
      this.#finished = true
    }
    return this.#writer.finish()
  }

  /** Sequence number of BATCH_END. */
  get lastSequence(): number {
    return this.#messages + 2
  }

  /**
   * The tag of the message with this sequence number, or of the element that lies `offset` bytes in. Undefined when the
   * message holds elements with several tags and nothing tells which one is meant.
   */
  tagOf(sequence: number, offset?: number): unknown {
    const start = this.#startOf(sequence)
    if (start === undefined) return undefined
    if (offset !== undefined && start + offset >= this.#firstElement(start)) return this.#marks.at(start + offset)
    return this.#marks.across(start, start + this.#writer.view.getUint32(start, littleEndian))
  }

  /** Where the first element of a message begins; at its end if it has none. */
  #firstElement(message: number): number {
    const { bytes, view } = this.#writer
    const end = message + view.getUint32(message, littleEndian)
    const type = view.getUint16(message + 4, littleEndian)
    if (type !== NFT_MSG_NEWSETELEM && type !== NFT_MSG_DELSETELEM) return end
    const attributes = new Reader(bytes, message + NLMSG_HDRLEN + NFGENMSG_LEN, end)
    while (attributes.next()) if (attributes.type === NFTA_SET_ELEM_LIST_ELEMENTS) return attributes.start
    return end
  }

  /** Messages are numbered from 1 (BATCH_BEGIN) in the order of their bytes. */
  #startOf(sequence: number): number | undefined {
    const { view, length } = this.#writer
    let at = 0
    for (let n = 1; n < sequence; n++) {
      at += view.getUint32(at, littleEndian)
      if (at >= length) return undefined
    }
    return sequence < 1 ? undefined : at
  }

  #inElement(): number {
    if (this.#element === none) throw misuse('no element is open')
    return this.#element
  }

  #nest(type: number): number {
    const at = this.#writer.reserve(NLA_HDRLEN)
    this.#writer.view.setUint16(at + 2, type | NLA_F_NESTED, littleEndian)
    return at
  }

  /** An attribute that holds just an NFTA_DATA_VALUE; returns the offset of the value. */
  #nestedValue(type: number, length: number): number {
    const padded = align4(length)
    const at = this.#writer.reserve(2 * NLA_HDRLEN + padded)
    const view = this.#writer.view
    view.setUint16(at, 2 * NLA_HDRLEN + padded, littleEndian)
    view.setUint16(at + 2, type | NLA_F_NESTED, littleEndian)
    view.setUint16(at + 4, NLA_HDRLEN + length, littleEndian)
    view.setUint16(at + 6, NFTA_DATA_VALUE, littleEndian)
    return at + 2 * NLA_HDRLEN
  }

  /** The element that has just ended made the list too long: it becomes the first of a message with the same head. */
  #split(element: number): void {
    const writer = this.#writer
    const elementLength = writer.length - element
    const head = this.#list + NLA_HDRLEN - this.#message
    const list = element + this.#list - this.#message
    writer.reserve(head)
    writer.bytes.copyWithin(element + head, element, element + elementLength)
    writer.bytes.copyWithin(element, this.#message, this.#message + head)
    writer.view.setUint16(this.#list, element - this.#list, littleEndian)
    writer.view.setUint32(this.#message, element - this.#message, littleEndian)
    this.#messages++
    writer.view.setUint32(element + 8, this.#messages + 1, littleEndian)
    this.#message = element
    this.#list = list
  }

  #open(): void {
    const type = this.#type
    const message = this.#begin(type, type === NFT_MSG_NEWSETELEM ? create : NLM_F_REQUEST)
    this.#writer.string(NFTA_SET_ELEM_LIST_TABLE, this.table)
    this.#writer.string(NFTA_SET_ELEM_LIST_SET, this.#set)
    this.#list = this.#writer.nest(NFTA_SET_ELEM_LIST_ELEMENTS)
    this.#message = message
    this.#type = type
  }

  #begin(type: number, flags: number): number {
    if (this.#finished) throw misuse('the batch is finished')
    this.#close()
    this.#messages++
    return this.#header(type, flags, this.#messages + 1, familyNumber[this.family], 0)
  }

  #close(): void {
    if (this.#element !== none) throw misuse('an element is still open')
    this.#type = 0
    if (this.#message === none) return
    this.#writer.endNest(this.#list)
    this.#writer.endMessage(this.#message)
    this.#message = none
    this.#list = none
  }

  #control(type: number, flags: number): void {
    const sequence = type === NFNL_MSG_BATCH_BEGIN ? 1 : this.lastSequence
    const message = this.#header(type, flags, sequence, 0, NFNL_SUBSYS_NFTABLES)
    this.#writer.endMessage(message)
  }

  #header(type: number, flags: number, sequence: number, family: number, resource: number): number {
    const message = this.#writer.message(type, flags, sequence)
    const at = this.#writer.reserve(NFGENMSG_LEN)
    this.#writer.view.setUint8(at, family)
    this.#writer.view.setUint16(at + 2, resource)
    return message
  }
}

const misuse = (rule: string): Error => new Error(`batch: ${rule}`)

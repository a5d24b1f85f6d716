import type { Batch } from '../../kernel/nft/batch.ts'
import { assertNever } from '../../model/assert-never.ts'
import { type Cidr, cidrRange } from '../../model/cidr.ts'
import { addressBytes, type Family, type IP, readIP, writeIP } from '../../model/ip.ts'
import { type Protocol, protocolNumber } from '../../model/protocol.ts'
import type { Element, ElementVerdict, Part } from './element.ts'
import type { SlotRun } from './layout.ts'
import { type Field, type SetName, schemaOf } from './schema.ts'

/** Components stand one after the other, each padded to four bytes; all in network order but the slot. */
const fieldBytes = (field: Field, family: Family): number => {
  switch (field) {
    case 'address':
    case 'network':
    case 'boundary':
      return addressBytes(family)
    case 'protocol':
    case 'port':
    case 'slot':
      return 4
    default:
      return assertNever(field, 'field')
  }
}

const width = (fields: readonly Field[], family: Family): number => {
  let total = 0
  for (const field of fields) total += fieldBytes(field, family)
  return total
}

interface Layout {
  readonly keyWidth: number
  readonly valueFields: readonly Field[]
  readonly valueWidth: number
}

const layouts: Record<Family, Map<SetName, Layout>> = { IPv4: new Map(), IPv6: new Map() }

const layoutOf = (set: SetName, family: Family): Layout => {
  const known = layouts[family].get(set)
  if (known !== undefined) return known
  const { key, value } = schemaOf(set)
  const valueFields: readonly Field[] = typeof value === 'string' ? [] : value
  const layout = { keyWidth: width(key, family), valueFields, valueWidth: width(valueFields, family) }
  layouts[family].set(set, layout)
  return layout
}

/** Bytes of a set's key in this family. */
export const keyWidth = (set: SetName, family: Family): number => layoutOf(set, family).keyWidth
export const valueWidth = (set: SetName, family: Family): number => layoutOf(set, family).valueWidth

type End = 'first' | 'last'

const writeParts = (
  bytes: Uint8Array,
  at: number,
  parts: readonly Part[],
  fields: readonly Field[],
  family: Family,
  end: End,
): void => {
  let offset = at
  for (let i = 0; i < fields.length; i++) {
    const field = fields[i]
    const part = parts[i]
    if (field === undefined || part === undefined) throw new RangeError(`element has ${parts.length} parts`)
    writePart(bytes, offset, part, field, end)
    offset += fieldBytes(field, family)
  }
}

const writePart = (bytes: Uint8Array, at: number, part: Part, field: Field, end: End): void => {
  switch (field) {
    case 'address':
      writeIP(part as IP, bytes, at)
      return
    case 'protocol':
      writeU32(bytes, at, protocolNumber[part as Protocol])
      return
    case 'port':
      bytes[at] = (part as number) >> 8
      bytes[at + 1] = (part as number) & 0xff
      bytes[at + 2] = 0
      bytes[at + 3] = 0
      return
    case 'slot':
      writeU32(bytes, at, part as number)
      return
    case 'network':
      bytes.set(cidrRange(part as Cidr)[end], at)
      return
    case 'boundary':
      writeIP(String(part).replace(/^\w+ /, '') as IP, bytes, at)
      return
    default:
      assertNever(field, 'field')
  }
}

/** Host order. A protocol is one byte followed by padding, which little-endian order happens to be; big-endian hosts differ. */
const writeU32 = (bytes: Uint8Array, at: number, value: number): void => {
  bytes[at] = value & 0xff
  bytes[at + 1] = (value >>> 8) & 0xff
  bytes[at + 2] = (value >>> 16) & 0xff
  bytes[at + 3] = value >>> 24
}

const isEnd = (element: Element): boolean =>
  element.set === 'service-cidrs' && String(element.key[0]).startsWith('end ')

/** Appends one element to a batch that has `elements(op, element.set)` open. A deletion needs the key alone. */
export const writeElement = (batch: Batch, element: Element, op: 'add' | 'delete', family: Family): void => {
  const { set, key, value } = element
  const fields = schemaOf(set).key
  const { keyWidth, valueFields, valueWidth } = layoutOf(set, family)
  const at = batch.element(keyWidth)
  writeParts(batch.bytes, at, key, fields, family, 'first')
  if (set === 'allowed-sources') {
    const endAt = batch.keyEnd(keyWidth)
    writeParts(batch.bytes, endAt, key, fields, family, 'last')
  }
  if (isEnd(element)) batch.intervalEnd()
  if (op === 'add') {
    if (value !== undefined && 'kind' in value) batch.verdict(value)
    else if (value !== undefined) {
      const dataAt = batch.data(valueWidth)
      writeParts(batch.bytes, dataAt, value, valueFields, family, 'first')
    }
    if (element.comment !== undefined) batch.comment(element.comment)
  }
  batch.endElement()
}

const prefix = new Uint8Array(32)

/** Appends a run of slots to a batch that has `elements('add', run.set)` open: as {@link writeElement} would, only faster. */
export const writeSlots = (batch: Batch, { set, key, offset, targets }: SlotRun, family: Family): void => {
  const fields = schemaOf(set).key
  const { keyWidth, valueWidth } = layoutOf(set, family)
  const slotAt = keyWidth - fieldBytes('slot', family)
  const addressWidth = addressBytes(family)
  writeParts(prefix, 0, key, fields.slice(0, -1), family, 'first')
  for (let i = 0; i < targets.length; i++) {
    const target = targets[i]
    if (target === undefined) continue
    const at = batch.element(keyWidth)
    const { bytes } = batch
    for (let j = 0; j < slotAt; j++) bytes[at + j] = prefix[j] ?? 0
    writeU32(bytes, at + slotAt, offset + i)
    const dataAt = batch.data(valueWidth)
    writeIP(target.ip, batch.bytes, dataAt)
    writePart(batch.bytes, dataAt + addressWidth, target.port, 'port', 'first')
    batch.endElement()
  }
}

const protocolOf = new Map<number, Protocol>(
  (Object.keys(protocolNumber) as Protocol[]).map((name) => [protocolNumber[name], name]),
)

const readU32 = (bytes: Uint8Array, at: number): number =>
  ((bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16) | ((bytes[at + 3] ?? 0) << 24)) >>> 0

const readParts = (
  bytes: Uint8Array,
  fields: readonly Field[],
  family: Family,
  networkLast: Uint8Array | undefined,
  end: boolean,
): readonly Part[] | undefined => {
  const parts: Part[] = []
  let at = 0
  for (const field of fields) {
    const part = readPart(bytes, at, field, family, networkLast, end)
    if (part === undefined) return undefined
    parts.push(part)
    at += fieldBytes(field, family)
  }
  return at === bytes.length ? parts : undefined
}

const readPart = (
  bytes: Uint8Array,
  at: number,
  field: Field,
  family: Family,
  last: Uint8Array | undefined,
  end: boolean,
): Part | undefined => {
  switch (field) {
    case 'address':
      return readIP(family, bytes, at)
    case 'protocol':
      return protocolOf.get(bytes[at] ?? 0)
    case 'port':
      return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)
    case 'slot':
      return readU32(bytes, at)
    case 'network':
      return readNetwork(bytes, at, family, last)
    case 'boundary':
      return `${end ? 'end' : 'begin'} ${readIP(family, bytes, at)}`
    default:
      return assertNever(field, 'field')
  }
}

/** A range whose ends do not make a network is foreign; it reads as undefined. */
const readNetwork = (bytes: Uint8Array, at: number, family: Family, last: Uint8Array | undefined): Cidr | undefined => {
  if (last === undefined) return undefined
  const size = addressBytes(family)
  let bits = 0
  while (bits < size * 8 && sameBit(bytes, last, at, bits)) bits++
  const cidr = `${readIP(family, bytes, at)}/${bits}` as Cidr
  const range = cidrRange(cidr)
  const matches =
    range.first.every((byte, i) => byte === bytes[at + i]) && range.last.every((byte, i) => byte === last[at + i])
  return matches ? cidr : undefined
}

const sameBit = (a: Uint8Array, b: Uint8Array, at: number, bit: number): boolean => {
  const index = at + (bit >> 3)
  return ((((a[index] ?? 0) ^ (b[index] ?? 0)) >> (7 - (bit & 7))) & 1) === 0
}

/** What a dump says of one element. */
export interface RawElement {
  readonly key: Uint8Array
  readonly keyEnd: Uint8Array | undefined
  readonly data: Uint8Array | { readonly kind: string; readonly chain?: string } | undefined
  readonly comment: string | undefined
  readonly intervalEnd: boolean
}

/** The inverse of {@link writeElement}; undefined for an element that we can never have written. */
export const readElement = (set: SetName, family: Family, raw: RawElement): Element | undefined => {
  const schema = schemaOf(set)
  const key = readParts(raw.key, schema.key, family, raw.keyEnd, raw.intervalEnd)
  if (key === undefined) return undefined
  const value = readValue(set, family, raw)
  return value === null ? undefined : { set, key, value, comment: raw.comment }
}

const readValue = (set: SetName, family: Family, { data }: RawElement): Element['value'] | null => {
  const { value } = schemaOf(set)
  if (value === 'none') return undefined
  if (data === undefined) return null
  if (data instanceof Uint8Array) {
    return value === 'verdict' ? null : (readParts(data, value, family, undefined, false) ?? null)
  }
  return value === 'verdict' ? readVerdict(data) : null
}

const readVerdict = ({ kind, chain }: { readonly kind: string; readonly chain?: string }): ElementVerdict | null => {
  if (kind === 'drop') return { kind }
  return kind === 'goto' && chain !== undefined ? { kind, chain } : null
}

import type { Cidr } from '../../model/cidr.ts'
import type { IP } from '../../model/ip.ts'
import type { Protocol } from '../../model/protocol.ts'
import { type SetName, schemaOf } from './schema.ts'

/** One component, in the order of the set's schema: address, protocol, port or slot, network, or boundary. */
export type Part = IP | Cidr | Protocol | number | Boundary

/** One end of an interval of addresses. */
export type Boundary = `begin ${string}` | `end ${string}`

export type ElementVerdict = { readonly kind: 'goto'; readonly chain: string } | { readonly kind: 'drop' }

/** One element of one of our sets or maps, in terms of the model. Its bytes and its text follow from the schema. */
export interface Element {
  readonly set: SetName
  readonly key: readonly Part[]
  readonly value: readonly Part[] | ElementVerdict | undefined
  /** The service port name, where a reader of `nft list ruleset` wants it. */
  readonly comment: string | undefined
}

/** Identity within its set. */
export const keyText = ({ key }: Pick<Element, 'key'>): string => key.join(' . ')

/** Identity within the table. */
export const elementKey = (element: Element): string => `${element.set} ${keyText(element)}`

/** An element of which only the key is known: enough to delete it. The inverse of {@link keyText}. */
export const elementOfKey = (set: SetName, text: string): Element => {
  const { key: fields } = schemaOf(set)
  const parts = text.split(' . ')
  const key = fields.map((field, i): Part => {
    const part = parts[i] ?? ''
    // What keyText wrote is trusted: it came from parts of these very types.
    return field === 'port' || field === 'slot' ? Number(part) : (part as Part)
  })
  return { set, key, value: undefined, comment: undefined }
}

/** What two elements of the same identity may differ in. */
export const elementContent = ({ value, comment }: Element): string => {
  if (value === undefined) return comment ?? ''
  if (!('kind' in value)) return value.join(' . ')
  return `${value.kind} ${value.kind === 'goto' ? value.chain : ''} ${comment ?? ''}`
}

export const sameContent = (a: Element, b: Element): boolean => {
  if (a.comment !== b.comment) return false
  const [left, right] = [a.value, b.value]
  if (left === undefined || right === undefined) return left === right
  if ('kind' in left || 'kind' in right) return elementContent(a) === elementContent(b)
  return left.length === right.length && left.every((part, i) => part === right[i])
}

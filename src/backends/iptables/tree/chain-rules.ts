import { type RuleText, ruleText } from '../../../kernel/iptables/rule-text.ts'
import { protocolWord } from '../../../model/protocol.ts'
import type { OwnChain } from '../layout-types.ts'
import { chainName } from './chain-names.ts'
import { isInline, type Node } from './node.ts'
import { readSlot, type TreeShape } from './slot.ts'

/** A node and where it is in a tree. */
export interface Place {
  /** The digits that lead here: its parent's prefix and one more. Undefined for the root. */
  readonly digits: string | undefined
  readonly node: Node
}

export interface ChildPlace extends Place {
  readonly digits: string
}

export function* childPlaces({ node }: Place): Generator<ChildPlace> {
  if (node.kind === 'leaf') return
  for (const [digit, child] of node.children.entries()) {
    if (child !== undefined) yield { digits: node.prefix + digit.toString(16), node: child }
  }
}

/** The chain of a node; undefined where its rules are in another one. */
export const chainAt = (shape: TreeShape, place: Place): OwnChain | undefined =>
  place.digits === undefined || isInline(place.node)
    ? undefined
    : { name: chainName(shape, place.digits), rules: rulesOf(shape, place) }

/** The chains below a place, its own among them. A chain comes after those it jumps to. */
export function* chainsFrom(shape: TreeShape, place: Place): Generator<OwnChain> {
  for (const child of childPlaces(place)) yield* chainsFrom(shape, child)
  const own = chainAt(shape, place)
  if (own !== undefined) yield own
}

/** What the chain of a node holds. Follows from the node alone, wherever it is. */
export const rulesOf = (shape: TreeShape, place: Place): readonly RuleText[] =>
  place.node.kind === 'leaf'
    ? place.node.entries.flatMap(({ rules }) => rules)
    : [...childPlaces(place)].flatMap((child) =>
        isInline(child.node) ? rulesOf(shape, child) : [jumpTo(shape, child.digits)],
      )

/**
 * Tests all that the digits say, though its callers have tested some of it: each rule can be read by itself. Words are in
 * the order in which iptables-save prints them. A jump, not a goto: what nothing below matches comes back, and goes on
 * behind the rules of the root.
 */
const jumpTo = (shape: TreeShape, digits: string): RuleText => {
  const { address, protocol, port } = readSlot(shape, digits)
  const words = address === undefined ? [] : ['-d', `${address.ip}/${address.bits}`]
  if (protocol !== undefined) words.push('-p', protocolWord[protocol])
  if (protocol !== undefined && port !== undefined) {
    const { first, last } = port
    words.push('-m', protocolWord[protocol], '--dport', first === last ? String(first) : `${first}:${last}`)
  }
  return ruleText(...words, '-j', chainName(shape, digits))
}

import type { RuleText } from '../../../kernel/iptables/rule-text.ts'
import type { OwnChain } from '../layout-types.ts'
import { chainAt, childPlaces, type Place } from './chain-rules.ts'
import type { TreeShape } from './slot.ts'

export interface ChainChanges {
  /** Chains that are new or whose rules differ. A chain comes after those it jumps to. */
  readonly written: readonly OwnChain[]
  /** Chains that nothing jumps to once the rest is written. A chain comes after those that jumped to it. */
  readonly gone: readonly string[]
}

/**
 * Visits both trees where they differ. A subtree that they share has the same chains in both, for a chain's name says
 * what it matches, whatever is above it: so what is not visited on one side is not there on the other.
 */
export const compare = (shape: TreeShape, before: Place | undefined, after: Place | undefined): ChainChanges => {
  const old = new Map<string, OwnChain>()
  const next = new Map<string, OwnChain>()
  const note = (into: Map<string, OwnChain>, place: Place | undefined): void => {
    const chain = place === undefined ? undefined : chainAt(shape, place)
    if (chain !== undefined) into.set(chain.name, chain)
  }
  const visit = (from: Place | undefined, to: Place | undefined): void => {
    if (from?.node === to?.node && from?.digits === to?.digits) return
    if (to !== undefined && isAbove(to, from)) {
      let met = false
      for (const child of childPlaces(to)) {
        const leads = leadsTo(child, from)
        met ||= leads
        visit(leads ? from : undefined, child)
      }
      if (!met) visit(from, undefined)
      note(next, to)
    } else if (from !== undefined && isAbove(from, to)) {
      note(old, from)
      let met = false
      for (const child of childPlaces(from)) {
        const leads = leadsTo(child, to)
        met ||= leads
        visit(child, leads ? to : undefined)
      }
      if (!met) visit(undefined, to)
    } else {
      note(old, from)
      if (from?.node !== to?.node) for (const [one, other] of childPairs(from, to)) visit(one, other)
      note(next, to)
    }
  }
  visit(before, after)
  return {
    written: [...next.values()].filter(({ name, rules }) => !sameRules(rules, old.get(name)?.rules)),
    gone: [...old.keys()].filter((name) => !next.has(name)),
  }
}

export const sameRules = (a: readonly RuleText[], b: readonly RuleText[] | undefined): boolean =>
  a.length === b?.length && a.every((rule, i) => rule === b[i])

/** Whether what `below` has is all under one digit of the branch `above`, though there may be no child for it. */
const isAbove = ({ node: above }: Place, below: Place | undefined): boolean =>
  above.kind === 'branch' &&
  below?.node.kind === 'branch' &&
  below.node.prefix.length > above.prefix.length &&
  below.node.prefix.startsWith(above.prefix)

const leadsTo = ({ digits }: { readonly digits: string }, place: Place | undefined): boolean =>
  place?.node.kind === 'branch' && place.node.prefix.startsWith(digits)

/** Children of both that match the same, then those of the second that have no counterpart. */
function* childPairs(
  from: Place | undefined,
  to: Place | undefined,
): Generator<readonly [Place | undefined, Place | undefined]> {
  const others = new Map<string, Place>()
  if (to !== undefined) for (const child of childPlaces(to)) others.set(child.digits, child)
  if (from !== undefined) {
    for (const child of childPlaces(from)) {
      yield [child, others.get(child.digits)]
      others.delete(child.digits)
    }
  }
  for (const child of others.values()) yield [undefined, child]
}

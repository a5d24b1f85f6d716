import type { RuleText } from '../../kernel/iptables/rule-text.ts'
import type { FixedChain, FixedTable } from './fixed-layout.ts'

/** Hands over the fixed chains that differ, and returns by how many their rules grew. Hooks never change. */
export const planFixed = (
  before: FixedTable,
  after: FixedTable,
  write: (chain: FixedChain, had: FixedChain) => void,
): number => {
  const old = new Map(before.chains.map((chain) => [chain.name, chain]))
  let grown = 0
  for (const chain of after.chains) {
    const had = old.get(chain.name) ?? { name: chain.name, head: [], tail: [] }
    grown += fixedRules(chain).length - fixedRules(had).length
    if (!sameFixed(had, chain)) write(chain, had)
  }
  return grown
}

export const sameFixed = (a: FixedChain, b: FixedChain): boolean =>
  sameRules(a.head, b.head) && sameRules(a.tail, b.tail)

export const fixedRules = ({ head, tail }: FixedChain): FixedChain['head'] => [...head, ...tail]

export const sameRules = (a: readonly RuleText[], b: readonly RuleText[]): boolean =>
  a.length === b.length && a.every((rule, i) => rule === b[i])

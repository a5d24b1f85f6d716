import type { FixedChain, FixedLayout, FixedTable } from '../rules/fixed-layout.ts'
import type { TableWriter } from '../rules/table-writer.ts'
import { filterMemberChains } from './layout-types.ts'
import { sameRules } from './service-delta.ts'

const filterMembers: ReadonlySet<string> = new Set(filterMemberChains)

/**
 * Writes the fixed chains that differ, and returns by how many their rules grew. `roots`, the chains that hold entries,
 * are only counted.
 */
export const planFixed = (
  before: FixedLayout,
  after: FixedLayout,
  roots: ReadonlySet<string>,
  writers: { readonly filter: TableWriter; readonly nat: TableWriter },
): { readonly filter: number; readonly nat: number } => ({
  filter: planTable(before.filter, after.filter, (chain, had) => {
    if (filterMembers.has(chain.name)) replaceAround(had, chain, writers.filter)
    else writers.filter.chain(chain.name, fixedRules(chain))
  }),
  nat: planTable(before.nat, after.nat, (chain) => {
    if (!roots.has(chain.name)) writers.nat.chain(chain.name, fixedRules(chain))
  }),
})

const planTable = (
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

const fixedRules = ({ head, tail }: FixedChain): FixedChain['head'] => [...head, ...tail]

/** Exchanges what stands around the rules of Services, which stay. */
export const replaceAround = (before: FixedChain, after: FixedChain, writer: TableWriter): void => {
  const { name } = after
  for (const rule of fixedRules(before)) writer.delete(name, rule)
  for (const rule of after.head.toReversed()) writer.insert(name, rule)
  for (const rule of after.tail) writer.append(name, rule)
}

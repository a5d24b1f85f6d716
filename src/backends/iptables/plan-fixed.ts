import type { FixedChain, FixedLayout } from '../rules/fixed-layout.ts'
import { fixedRules, planFixed as planTable } from '../rules/plan-fixed.ts'
import type { TableWriter } from '../rules/table-writer.ts'
import { filterMemberChains } from './layout-types.ts'

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

/** Exchanges what stands around the rules of Services, which stay. */
export const replaceAround = (before: FixedChain, after: FixedChain, writer: TableWriter): void => {
  const { name } = after
  for (const rule of fixedRules(before)) writer.delete(name, rule)
  for (const rule of after.head.toReversed()) writer.insert(name, rule)
  for (const rule of after.tail) writer.append(name, rule)
}

import type { Member } from '../../kernel/ipset/member.ts'
import type { FixedChain, FixedLayout } from '../rules/fixed-layout.ts'
import type { TableWriter } from '../rules/table-writer.ts'
import type { IptablesPlan, SetChanges } from './plan.ts'
import type { SetRole } from './sets.ts'

/** @throws RangeError when the layout has no such chain in table nat */
export const fixedChain = ({ nat }: FixedLayout, name: string): FixedChain => {
  const chain = nat.chains.find((candidate) => candidate.name === name)
  if (chain === undefined) throw new RangeError(`the layout has no chain ${name}`)
  return chain
}

/** The part of a plan that follows from what was collected. */
export const summarize = (
  writers: readonly TableWriter[],
  sets: SetChanges,
  structure: boolean,
): Pick<IptablesPlan, 'summary' | 'tables'> => {
  const tables = writers.flatMap((writer) => writer.change() ?? [])
  const rulesWritten = new Map(writers.map(({ table, written }) => [table, written]))
  let added = total(sets.add)
  let removed = total(sets.remove)
  for (const writer of writers) {
    added += writer.written
    removed += writer.removed + writer.dropped
  }
  const empty = tables.length + added + removed + sets.create.length + sets.destroy.length === 0
  return { summary: { empty, added, removed, structure: structure && !empty, rulesWritten }, tables }
}

const total = (members: ReadonlyMap<SetRole, readonly Member[]>): number =>
  [...members.values()].reduce((sum, list) => sum + list.length, 0)

import type { Ipset } from '../../kernel/ipset/ipset.ts'
import type { Iptables } from '../../kernel/iptables/iptables.ts'
import type { TableName } from '../../kernel/iptables/table-name.ts'
import type { Observed } from '../backend.ts'
import { type ObservedSet, observeSets } from '../rules/observed-sets.ts'
import { countRules, type ObservedTable, observeTable } from '../rules/observed-table.ts'
import { setSchema } from './sets.ts'

/** The rules and sets of one family, as found. */
export interface ObservedRules extends Observed {
  readonly kind: 'rules'
  readonly tables: ReadonlyMap<TableName, ObservedTable>
  /** Sets with a name of ours. */
  readonly sets: ReadonlyMap<string, ObservedSet>
}

/** `fixed`: names of the chains that are always there. */
export const observeRules = async (
  iptables: Iptables,
  ipset: Ipset | undefined,
  fixed: ReadonlySet<string>,
  signal: AbortSignal,
): Promise<ObservedRules> => {
  const saved = await iptables.save(signal)
  const tables = new Map(saved.tables.map((table) => [table.name, observeTable(table, fixed)]))
  const sets =
    ipset === undefined ? new Map<string, ObservedSet>() : await observeSets(ipset, setSchema(iptables.family), signal)
  const counts = new Map<string, number>()
  for (const [name, table] of tables) counts.set(name, countRules(table, fixed))
  for (const [name, { header }] of sets) counts.set(name, header.entries)
  return { kind: 'rules', tables, sets, counts }
}

export const asObservedRules = (observed: Observed | undefined): ObservedRules => {
  if (observed !== undefined && 'kind' in observed && observed.kind === 'rules') return observed as ObservedRules
  throw new TypeError('a full change needs what this backend has observed')
}

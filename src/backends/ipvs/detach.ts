import type { TableChange } from '../../kernel/iptables/restore-builder.ts'
import type { TableName } from '../../kernel/iptables/table-name.ts'
import type { ObservedTable } from '../rules/observed-table.ts'
import { ruleTables } from '../rules/rule-table.ts'
import type { SetSchema } from '../rules/set-schema.ts'
import { TableWriter } from '../rules/table-writer.ts'
import { fixedChainNames } from './fixed-names.ts'
import type { ObservedIpvs } from './observe.ts'
import type { SetRole } from './sets.ts'

export interface Detached {
  readonly changes: readonly TableChange[]
  /** As they are after that. */
  readonly tables: ReadonlyMap<TableName, ObservedTable>
}

/**
 * Takes rules of ours out that hold a set whose type or family is not what its name stands for: it has to be destroyed,
 * because only sets of one type can be exchanged.
 */
export const detachSets = (
  { sets, tables }: Pick<ObservedIpvs, 'sets' | 'tables'>,
  { family, roles, ref }: SetSchema<SetRole>,
): Detached => {
  const wrong = roles.map(ref).filter(({ name, type }) => {
    const header = sets.get(name)?.header
    if (header === undefined || header.references === 0) return false
    return header.type !== type || (header.family !== undefined && header.family !== family)
  })
  if (wrong.length === 0) return { changes: [], tables }
  const names = new Set(wrong.map(({ name }) => name))
  const after = new Map(tables)
  const changes: TableChange[] = []
  for (const name of ruleTables) {
    const table = tables.get(name)
    if (table === undefined) continue
    const writer = new TableWriter(name)
    const chains = new Map(table.chains)
    for (const [chain, rules] of table.chains) {
      if (!fixedChainNames.has(chain) || !rules.some((rule) => rule.split(' ').some((word) => names.has(word))))
        continue
      writer.empty(chain)
      chains.set(chain, [])
    }
    const change = writer.change()
    if (change === undefined) continue
    changes.push(change)
    after.set(name, { ...table, chains })
  }
  return { changes, tables: after }
}

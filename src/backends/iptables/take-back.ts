import type { IptablesError } from '../../kernel/iptables/iptables-error.ts'
import type { Statement, TableChange } from '../../kernel/iptables/restore-builder.ts'

/**
 * A restore commits table after table, so a refused one may have left its first tables changed. What undoes those of a
 * delta: rules that were added go, rules that went come back. Undefined where that cannot be told from the plan.
 */
export const takingBack = (
  tables: readonly TableChange[],
  { line }: IptablesError,
): readonly TableChange[] | undefined => {
  if (tables.length < 2) return []
  const committed = line === undefined ? undefined : tablesBefore(tables, line)
  const undone: TableChange[] = []
  for (const { table, statements } of committed?.toReversed() ?? []) {
    const opposites = statements.toReversed().map(opposite)
    const known = opposites.flatMap((statement) => statement ?? [])
    if (known.length < opposites.length) return undefined
    undone.push({ table, statements: known })
  }
  return committed === undefined ? undefined : undone
}

/** `line`: 1-based, in a text where each table takes two lines more than it has statements. */
const tablesBefore = (tables: readonly TableChange[], line: number): readonly TableChange[] => {
  let end = 0
  const at = tables.findIndex(({ statements }) => {
    end += statements.length + 2
    return line <= end
  })
  return tables.slice(0, Math.max(0, at))
}

const opposite = (statement: Statement): Statement | undefined => {
  const { kind, chain } = statement
  switch (kind) {
    case 'append':
    case 'insert':
      return { kind: 'delete', chain, rule: statement.rule }
    case 'delete':
      return { kind: 'append', chain, rule: statement.rule }
    default:
      return undefined
  }
}

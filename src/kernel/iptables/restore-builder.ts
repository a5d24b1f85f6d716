import { assertNever } from '../../model/assert-never.ts'
import type { RuleText } from './rule-text.ts'
import type { Counters, SavedTable } from './save-parser.ts'
import type { TableName } from './table-name.ts'

/** One line of iptables-restore input. */
export type Statement = StatementLine & {
  /** Who the line is for. When the line is refused, the error carries it. */
  readonly tag?: unknown
}

type StatementLine =
  /** Creates a user-defined chain, or empties it when it is there. Never for a built-in chain: it would reset it. */
  | { readonly kind: 'chain'; readonly chain: string }
  /** Of a built-in chain. */
  | { readonly kind: 'policy'; readonly chain: string; readonly policy: string; readonly counters: Counters }
  | { readonly kind: 'append'; readonly chain: string; readonly rule: RuleText }
  | { readonly kind: 'insert'; readonly chain: string; readonly rule: RuleText }
  /** Removes the first rule equal to this one; the commit fails when there is none. */
  | { readonly kind: 'delete'; readonly chain: string; readonly rule: RuleText }
  | { readonly kind: 'flush'; readonly chain: string }
  | { readonly kind: 'deleteChain'; readonly chain: string }

/** All statements for a table take effect together or not at all. */
export interface TableChange {
  readonly table: TableName
  readonly statements: readonly Statement[]
}

/** Statements that set each policy of a table, and its counters, to what they are. */
export const keepPolicies = ({ chains }: SavedTable): readonly Statement[] =>
  [...chains.values()].flatMap(({ name: chain, policy, counters }): Statement[] =>
    policy === undefined ? [] : [{ kind: 'policy', chain, policy, counters }],
  )

/** Input for `iptables-restore --noflush --counters`. The only place that knows line ends and COMMIT. */
export const restoreText = (changes: readonly TableChange[]): string =>
  changes
    .map(
      ({ table, statements }) =>
        `*${table}\n${statements.map((statement) => `${statementLine(statement)}\n`).join('')}COMMIT\n`,
    )
    .join('')

/** Without its line end. */
export const statementLine = (statement: Statement): string => {
  const line = statementText(statement)
  if (/[\n\0]/.test(line)) throw new TypeError(`statement of more than one line: ${JSON.stringify(line)}`)
  return line
}

const statementText = (statement: Statement): string => {
  switch (statement.kind) {
    case 'chain':
      return `:${statement.chain} - [0:0]`
    case 'policy':
      return `:${statement.chain} ${statement.policy} [${statement.counters.packets}:${statement.counters.bytes}]`
    case 'append':
      return `-A ${statement.chain} ${statement.rule}`
    case 'insert':
      return `-I ${statement.chain} ${statement.rule}`
    case 'delete':
      return `-D ${statement.chain} ${statement.rule}`
    case 'flush':
      return `-F ${statement.chain}`
    case 'deleteChain':
      return `-X ${statement.chain}`
    default:
      return assertNever(statement, 'statement')
  }
}

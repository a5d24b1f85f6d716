import type { Family } from '../../model/ip.ts'
import type { Statement, TableChange } from './restore-builder.ts'
import type { Saved, SavedTable } from './save-parser.ts'
import type { TableName } from './table-name.ts'

/** Two implementations of iptables that do not see each other's rules: x_tables, and a translation to nf_tables. */
export const variants = ['legacy', 'nft'] as const
export type Variant = (typeof variants)[number]

/** iptables of one variant and family. Rejections are {@link IptablesError}, or ExecError `aborted`. */
export interface Iptables {
  readonly variant: Variant
  readonly family: Family
  /** The tables that exist. Reading neither creates tables nor loads modules. Empty where the kernel has no support. */
  tables(signal: AbortSignal): Promise<readonly TableName[]>
  /** The existing tables, with counters. */
  save(signal: AbortSignal): Promise<Saved>
  /**
   * Commits each table's statements atomically, tables one after the other; of the nft variant more than 500 chains in
   * several commits, each chain at once and behind those that it leads to. What the statements do not name stays as it
   * is; only the legacy variant zeroes the counters of all policies that are not set by a statement, as each of its
   * commits does (libiptc). Creates a table that does not exist yet.
   */
  restore(changes: readonly TableChange[], signal: AbortSignal): Promise<void>
  /**
   * Commits what `decide` makes of an existing table, atomically; nothing when that is empty. In the legacy variant no
   * other program commits in between, and counters of policies are kept. In the nft variant a change in between that
   * the statements cannot live with rejects the commit.
   */
  update(table: TableName, decide: (table: SavedTable) => readonly Statement[], signal: AbortSignal): Promise<void>
}

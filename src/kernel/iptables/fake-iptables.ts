import type { Family } from '../../model/ip.ts'
import { commitFake } from './fake-commit.ts'
import { FakeTable } from './fake-table.ts'
import type { Iptables, Variant } from './iptables.ts'
import { IptablesError } from './iptables-error.ts'
import { explainRefusal } from './refusal.ts'
import { keepPolicies, restoreText, type Statement, type TableChange } from './restore-builder.ts'
import type { Saved, SavedTable } from './save-parser.ts'
import { type TableName, tableNames } from './table-name.ts'

/**
 * {@link Iptables} in memory: as strict as the real programs about chains, rules and targets, in the order in which they
 * notice, and with errors that name the same line. It does not know loops, nor which hooks a target is for.
 */
export class FakeIptables implements Iptables {
  readonly variant: Variant
  readonly family: Family
  /** Every restore so far, failed ones too. */
  readonly restores: (readonly TableChange[])[] = []
  /** How often each was called; an update counts as what it does. */
  readonly calls = { tables: 0, save: 0, restore: 0, update: 0 }
  /** Lines that restores were given, failed ones too. */
  statements = 0
  /** Lines that the program does not understand, besides those that a real one does not. */
  unreadable: (statement: Statement) => boolean = () => false
  readonly #tables = new Map<TableName, FakeTable>()
  readonly #failures: IptablesError[] = []

  constructor(variant: Variant, family: Family) {
    this.variant = variant
    this.family = family
  }

  /** The next restore fails with this error and changes nothing. */
  failNext(error: IptablesError): void {
    this.#failures.push(error)
  }

  /** Somebody else writes: nothing is counted. */
  foreignWrite(changes: readonly TableChange[]): void {
    this.#commit(changes)
  }

  async tables(signal?: AbortSignal): Promise<readonly TableName[]> {
    signal?.throwIfAborted()
    this.calls.tables++
    return this.#names()
  }

  async save(signal: AbortSignal): Promise<Saved> {
    signal.throwIfAborted()
    this.calls.save++
    const tables = this.#names().flatMap((name) => this.#tables.get(name)?.saved(name) ?? [])
    return { tables, incompatible: [] }
  }

  async restore(changes: readonly TableChange[], signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    this.calls.restore++
    this.restores.push(changes)
    for (const { statements } of changes) this.statements += statements.length
    const failure = this.#failures.shift()
    if (failure !== undefined) throw failure
    this.#commit(changes)
  }

  async update(
    table: TableName,
    decide: (table: SavedTable) => readonly Statement[],
    signal: AbortSignal,
  ): Promise<void> {
    this.calls.update++
    const saved = (await this.save(signal)).tables.find(({ name }) => name === table)
    const statements = saved === undefined ? [] : decide(saved)
    if (saved === undefined || statements.length === 0) return
    await this.restore([{ table, statements: [...keepPolicies(saved), ...statements] }], signal)
  }

  #names(): readonly TableName[] {
    return tableNames.filter((name) => this.#tables.has(name))
  }

  #commit(changes: readonly TableChange[]): void {
    // Throws for a statement of several lines, as the real client does.
    restoreText(changes)
    let firstLine = 1
    for (const change of changes) {
      const { table, statements } = change
      const before = this.#tables.get(table)
      const next = before?.copy() ?? FakeTable.create(this.family, table)
      if (this.variant === 'legacy') {
        // Opening a table creates it, whatever becomes of the lines.
        if (before === undefined) this.#tables.set(table, next.copy())
        next.zeroPolicies()
      }
      const said = commitFake(next, { variant: this.variant, change, firstLine, unreadable: this.unreadable })
      if (said !== undefined) {
        const { reason, ...detail } = explainRefusal(changes, said)
        throw new IptablesError(
          'rejected',
          `ip${this.family === 'IPv4' ? '' : '6'}tables-${this.variant}-restore`,
          reason,
          detail,
        )
      }
      if (before !== undefined || statements.length > 0 || this.variant === 'legacy') this.#tables.set(table, next)
      firstLine += statements.length + 2
    }
  }
}

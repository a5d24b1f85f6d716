import type { Iptables } from '../../src/kernel/iptables/iptables.ts'
import type { Statement, TableChange } from '../../src/kernel/iptables/restore-builder.ts'
import type { Saved, SavedTable } from '../../src/kernel/iptables/save-parser.ts'
import type { TableName } from '../../src/kernel/iptables/table-name.ts'

/** Passes everything on to another, and takes the time of what reads and writes. */
export class TimedIptables implements Iptables {
  readonly variant: Iptables['variant']
  readonly family: Iptables['family']
  readonly #iptables: Iptables
  /** Milliseconds in `save`, and in `restore`. */
  saveMs = 0
  restoreMs = 0
  /** What the last `restore` wrote. */
  restored: readonly TableChange[] = []

  constructor(iptables: Iptables) {
    this.variant = iptables.variant
    this.family = iptables.family
    this.#iptables = iptables
  }

  tables(signal: AbortSignal): Promise<readonly TableName[]> {
    return this.#iptables.tables(signal)
  }

  async save(signal: AbortSignal): Promise<Saved> {
    const start = performance.now()
    const saved = await this.#iptables.save(signal)
    this.saveMs += performance.now() - start
    return saved
  }

  async restore(changes: readonly TableChange[], signal: AbortSignal): Promise<void> {
    this.restored = changes
    const start = performance.now()
    await this.#iptables.restore(changes, signal)
    this.restoreMs += performance.now() - start
  }

  update(table: TableName, decide: (table: SavedTable) => readonly Statement[], signal: AbortSignal): Promise<void> {
    return this.#iptables.update(table, decide, signal)
  }
}

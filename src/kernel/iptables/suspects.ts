import type { Family } from '../../model/ip.ts'
import type { TableName } from './table-name.ts'

/** The tables that this project writes to. */
export const watchedTables = ['filter', 'nat', 'mangle'] as const satisfies readonly TableName[]

/** The families whose tables may differ from what was last read of them: at first all. */
export class Suspects {
  readonly #families: Set<Family>
  readonly #watched: ReadonlySet<Family>
  readonly #report: (family: Family) => void

  constructor(families: readonly Family[], report: (family: Family) => void) {
    this.#watched = new Set(families)
    this.#families = new Set(families)
    this.#report = report
  }

  accuse(family: Family): void {
    if (!this.#watched.has(family)) return
    this.#families.add(family)
    this.#report(family)
  }

  accuseAll(): void {
    for (const family of this.#watched) this.accuse(family)
  }

  clear(family: Family): void {
    this.#families.delete(family)
  }

  has(family: Family): boolean {
    return this.#families.has(family)
  }
}

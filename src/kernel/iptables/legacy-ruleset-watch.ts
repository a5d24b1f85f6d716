import { setInterval } from 'node:timers'
import type { Family } from '../../model/ip.ts'
import type { CommitWitness } from './commit-witness.ts'
import type { RulesetWatch, RulesetWatchOptions } from './ruleset-watch.ts'
import { Suspects } from './suspects.ts'
import { TableFingerprints } from './table-fingerprint.ts'

/**
 * x_tables tells nobody of a commit, so this looks at the shape of each table every few milliseconds. What keeps the
 * shape goes unseen: one rule exchanged for another of the same size. A flush, a deletion or an insertion does not.
 *
 * Around a commit of ours the client holds the xtables lock and lets us look before and after it, so a foreign commit
 * just before ours is seen, and one in between cannot be, unless its program ignores the lock.
 */
export class LegacyRulesetWatch implements RulesetWatch, CommitWitness {
  readonly #tables: ReadonlyMap<Family, TableFingerprints>
  readonly #suspects: Suspects
  readonly #timer: NodeJS.Timeout
  /** Families that a write of ours is under way for, and how many. */
  readonly #writes = new Map<Family, number>()
  readonly #commits = new Set<Family>()
  /** Families whose client has shown us a commit: nothing of ours happens outside the lock. */
  readonly #witnessed = new Set<Family>()

  constructor({ families, onForeignWrite, intervalMs = 50 }: RulesetWatchOptions) {
    this.#suspects = new Suspects(families, onForeignWrite)
    this.#tables = new Map(families.map((family) => [family, new TableFingerprints(family)]))
    for (const tables of this.#tables.values()) tables.changed()
    this.#timer = setInterval(() => this.#lookAtAll(), intervalMs).unref()
  }

  started(): void {}

  ended(): void {}

  locked(family: Family): void {
    this.#witnessed.add(family)
    this.#look(family)
    this.#commits.add(family)
  }

  unlocking(family: Family): void {
    this.#tables.get(family)?.changed()
    this.#commits.delete(family)
  }

  async write<T>(family: Family, _bytes: number, write: () => Promise<T>, signal: AbortSignal): Promise<T> {
    signal.throwIfAborted()
    this.#look(family)
    this.#writes.set(family, (this.#writes.get(family) ?? 0) + 1)
    try {
      return await write()
    } finally {
      // Of a client that does not show its commits, every change meanwhile has to pass for ours.
      if (!this.#witnessed.has(family)) this.#tables.get(family)?.changed()
      this.#writes.set(family, (this.#writes.get(family) ?? 1) - 1)
      this.#look(family)
    }
  }

  compared(family: Family): void {
    this.#look(family)
    this.#suspects.clear(family)
  }

  untouched(family: Family): boolean {
    this.#look(family)
    return !this.#suspects.has(family)
  }

  close(): void {
    clearInterval(this.#timer)
    for (const tables of this.#tables.values()) tables.close()
  }

  #lookAtAll(): void {
    for (const family of this.#tables.keys()) this.#look(family)
  }

  #look(family: Family): void {
    const ours = this.#commits.has(family) || ((this.#writes.get(family) ?? 0) > 0 && !this.#witnessed.has(family))
    if (!ours && this.#tables.get(family)?.changed() === true) this.#suspects.accuse(family)
  }
}

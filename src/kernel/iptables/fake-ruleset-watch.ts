import { type Family, families } from '../../model/ip.ts'
import type { RulesetWatch } from './ruleset-watch.ts'
import { Suspects } from './suspects.ts'

/** {@link RulesetWatch} whose foreign writes are made by the test. */
export class FakeRulesetWatch implements RulesetWatch {
  /** Every write so far, failed ones too. */
  readonly writes: { readonly family: Family; readonly bytes: number }[] = []
  closed = false
  readonly #suspects: Suspects

  constructor(onForeignWrite: (family: Family) => void = () => {}) {
    this.#suspects = new Suspects(families, onForeignWrite)
  }

  /** Somebody else writes to the family's tables. */
  foreignWrite(family: Family): void {
    this.#suspects.accuse(family)
  }

  async write<T>(family: Family, bytes: number, write: () => Promise<T>, signal: AbortSignal): Promise<T> {
    signal.throwIfAborted()
    this.writes.push({ family, bytes })
    return await write()
  }

  compared(family: Family, signal: AbortSignal): void {
    signal.throwIfAborted()
    this.#suspects.clear(family)
  }

  untouched(family: Family, signal: AbortSignal): boolean {
    signal.throwIfAborted()
    return !this.#suspects.has(family)
  }

  close(): void {
    this.closed = true
  }
}

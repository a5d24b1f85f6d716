import type { Statement, TableChange } from '../../kernel/iptables/restore-builder.ts'
import type { RuleText } from '../../kernel/iptables/rule-text.ts'
import type { ServiceKey } from '../../model/names.ts'
import type { RuleTable } from './rule-table.ts'

/**
 * Collects what one restore does to one table, and puts it into an order in which nothing refers to a chain that is not
 * there yet, or not there any more.
 */
export class TableWriter {
  readonly table: RuleTable
  readonly #chains = new Map<string, ServiceKey | undefined>()
  readonly #removals: Statement[] = []
  readonly #rules: Statement[] = []
  readonly #inserts: Statement[] = []
  readonly #stale: string[] = []
  /** Flushed, but kept. */
  readonly #emptied: string[] = []
  written = 0
  removed = 0

  constructor(table: RuleTable) {
    this.table = table
  }

  /** The chain holds these rules and no others, whatever it held before. */
  chain(chain: string, rules: readonly RuleText[], tag?: ServiceKey): void {
    this.#chains.set(chain, tag)
    for (const rule of rules) this.#rules.push({ kind: 'append', chain, rule, tag })
    this.written += rules.length
  }

  /** The same, where each rule may be somebody else's. */
  taggedChain(chain: string, rules: readonly RuleText[], tags: ReadonlyMap<RuleText, ServiceKey>): void {
    this.#chains.set(chain, undefined)
    for (const rule of rules) this.#rules.push({ kind: 'append', chain, rule, tag: tags.get(rule) })
    this.written += rules.length
  }

  append(chain: string, rule: RuleText, tag?: ServiceKey): void {
    this.#rules.push({ kind: 'append', chain, rule, tag })
    this.written++
  }

  /** Before all that is in the chain. */
  insert(chain: string, rule: RuleText, tag?: ServiceKey): void {
    this.#inserts.push({ kind: 'insert', chain, rule, tag })
    this.written++
  }

  /** One rule that is there, word by word. */
  delete(chain: string, rule: RuleText, tag?: ServiceKey): void {
    this.#removals.push({ kind: 'delete', chain, rule, tag })
    this.removed++
  }

  /** The chain goes, with its rules. */
  drop(chain: string): void {
    this.#stale.push(chain)
  }

  /** Its rules go; somebody else's rules lead to it. */
  empty(chain: string): void {
    this.#emptied.push(chain)
  }

  get dropped(): number {
    return this.#stale.length + this.#emptied.length
  }

  change(): TableChange | undefined {
    const flush = (chain: string): Statement => ({ kind: 'flush', chain })
    // By name: equal plans give equal text, whatever came first.
    const chains = [...this.#chains].sort(([a], [b]) => (a < b ? -1 : 1))
    const statements: readonly Statement[] = [
      ...chains.map(([chain, tag]): Statement => ({ kind: 'chain', chain, tag })),
      ...this.#removals,
      ...this.#rules,
      ...this.#inserts,
      ...this.#stale.map(flush),
      ...this.#emptied.map(flush),
      ...this.#stale.map((chain): Statement => ({ kind: 'deleteChain', chain })),
    ]
    return statements.length === 0 ? undefined : { table: this.table, statements }
  }
}

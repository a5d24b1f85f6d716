import type { Family } from '../../model/ip.ts'
import { canonicalRule } from './canonical.ts'
import { type RuleTarget, type RuleText, ruleTarget } from './rule-text.ts'
import type { Counters, SavedTable } from './save-parser.ts'
import type { TableName } from './table-name.ts'

/** The hooks of each table, in the order in which they are listed (net/ipv4/netfilter/iptable_*.c). */
const builtInChains: Readonly<Record<TableName, readonly string[]>> = {
  raw: ['PREROUTING', 'OUTPUT'],
  mangle: ['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING'],
  nat: ['PREROUTING', 'INPUT', 'OUTPUT', 'POSTROUTING'],
  filter: ['INPUT', 'FORWARD', 'OUTPUT'],
  security: ['INPUT', 'FORWARD', 'OUTPUT'],
}

export interface FakeRule {
  /** As iptables-save prints it. */
  readonly rule: RuleText
  readonly target: RuleTarget | undefined
}

export interface FakeChain {
  /** Undefined for a user-defined chain. */
  readonly policy: string | undefined
  readonly counters: Counters
  readonly rules: readonly FakeRule[]
}

const zero: Counters = { packets: 0n, bytes: 0n }

/** One table of {@link FakeIptables}. A commit works on a copy, which shares the chains that it leaves alone. */
export class FakeTable {
  readonly #family: Family
  readonly #chains: Map<string, FakeChain>
  /** How many rules send packets to a chain. */
  readonly #uses: Map<string, number>

  private constructor(family: Family, chains: Map<string, FakeChain>, uses: Map<string, number>) {
    this.#family = family
    this.#chains = chains
    this.#uses = uses
  }

  static create(family: Family, name: TableName): FakeTable {
    const chains = builtInChains[name].map((chain) => [chain, { policy: 'ACCEPT', counters: zero, rules: [] }] as const)
    return new FakeTable(family, new Map(chains), new Map())
  }

  copy(): FakeTable {
    return new FakeTable(this.#family, new Map(this.#chains), new Map(this.#uses))
  }

  chain(name: string): FakeChain | undefined {
    return this.#chains.get(name)
  }

  isUsed(name: string): boolean {
    return (this.#uses.get(name) ?? 0) > 0
  }

  parse(rule: RuleText): FakeRule {
    const canonical = canonicalRule(rule, this.#family)
    return { rule: canonical, target: ruleTarget(canonical) }
  }

  /** Creates a user-defined chain, or empties it. */
  declare(name: string): void {
    this.replaceRules(name, [])
  }

  setPolicy(name: string, policy: string, counters: Counters): void {
    const chain = this.#chains.get(name)
    if (chain !== undefined) this.#chains.set(name, { ...chain, policy, counters })
  }

  /** What any commit of the legacy variant does to the policies that it does not set (libiptc). */
  zeroPolicies(): void {
    for (const [name, chain] of this.#chains)
      if (chain.policy !== undefined) this.#chains.set(name, { ...chain, counters: zero })
  }

  replaceRules(name: string, rules: readonly FakeRule[]): void {
    const chain = this.#chains.get(name)
    for (const { target } of chain?.rules ?? []) this.#count(target, -1)
    for (const { target } of rules) this.#count(target, 1)
    this.#chains.set(name, { policy: chain?.policy, counters: chain?.counters ?? zero, rules })
  }

  /** Whatever is in it. */
  deleteChain(name: string): void {
    this.replaceRules(name, [])
    this.#chains.delete(name)
  }

  /** Chains in the order in which they were made; iptables-save sorts those that are user-defined. */
  saved(name: TableName): SavedTable {
    const chains = [...this.#chains].map(([chain, { policy, counters }]) => ({ name: chain, policy, counters }))
    const rules = [...this.#chains].flatMap(([chain, content]) =>
      content.rules.map(({ rule, target }) => ({ chain, rule, target, counters: zero })),
    )
    return { name, chains: new Map(chains.map((chain) => [chain.name, chain])), rules }
  }

  #count(target: RuleTarget | undefined, by: number): void {
    if (target !== undefined) this.#uses.set(target.name, (this.#uses.get(target.name) ?? 0) + by)
  }
}

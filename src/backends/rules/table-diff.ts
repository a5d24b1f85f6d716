import { canonicalRule } from '../../kernel/iptables/canonical.ts'
import type { RuleText } from '../../kernel/iptables/rule-text.ts'
import type { Family } from '../../model/ip.ts'
import type { ServiceKey } from '../../model/names.ts'
import type { FixedChain, Hook } from './fixed-layout.ts'
import { comesAndGoes, type ObservedTable } from './observed-table.ts'
import type { RuleTable } from './rule-table.ts'
import { TableWriter } from './table-writer.ts'

/** A rule of one Service in a chain of many. */
export interface MemberRule {
  readonly rule: RuleText
  readonly tag: ServiceKey
}

const nothing: ObservedTable = { chains: new Map(), foreignTargets: new Set() }

/** Compares one table with what is wanted, chain by chain, and writes what differs. */
export class TableDiff {
  readonly writer: TableWriter
  /** Rules that are wanted, written or not. */
  rules = 0
  readonly #found: ObservedTable
  readonly #family: Family
  readonly #wanted = new Set<string>()

  constructor(table: RuleTable, found: ObservedTable | undefined, family: Family) {
    this.writer = new TableWriter(table)
    this.#found = found ?? nothing
    this.#family = family
  }

  /** These rules in this order. */
  chain(name: string, rules: readonly RuleText[], tag?: ServiceKey): void {
    if (this.#differs(name, rules)) this.writer.chain(name, rules, tag)
  }

  /** The same, where each rule may be somebody else's. */
  taggedChain(name: string, rules: readonly RuleText[], tags: ReadonlyMap<RuleText, ServiceKey>): void {
    if (this.#differs(name, rules)) this.writer.taggedChain(name, rules, tags)
  }

  /** A chain that is somebody else's too: made where it is missing, left alone where it is not. */
  shared(name: string): void {
    if (this.#want(name, 0) === undefined) this.writer.chain(name, [])
  }

  /** The rules of Services may stand in any order, between the others. */
  around({ name, head, tail }: FixedChain, members: readonly MemberRule[]): void {
    const found = this.#want(name, head.length + members.length + tail.length)
    const behind = head.length + members.length
    const isRight =
      found !== undefined &&
      found.length === behind + tail.length &&
      this.#same(head, found.slice(0, head.length)) &&
      this.#same(tail, found.slice(behind)) &&
      this.#sameInAnyOrder(members, found.slice(head.length, behind))
    if (isRight) return
    const tags = new Map(members.map(({ rule, tag }) => [rule, tag]))
    this.writer.taggedChain(name, [...head, ...members.map(({ rule }) => rule), ...tail], tags)
  }

  /** Each is put first unless it is there, wherever. */
  hooks(hooks: readonly Hook[]): void {
    this.rules += hooks.length
    for (const { chain, rule } of hooks) {
      const found = this.#found.chains.get(chain)
      if (found?.includes(canonicalRule(rule, this.#family)) !== true) this.writer.insert(chain, rule)
    }
  }

  /** What an earlier run left. A chain that foreign rules lead to cannot go; it is emptied. */
  dropUnwanted(): void {
    for (const [chain, rules] of this.#found.chains) {
      if (this.#wanted.has(chain) || !comesAndGoes(chain)) continue
      if (!this.#found.foreignTargets.has(chain)) this.writer.drop(chain)
      else if (rules.length > 0) this.writer.empty(chain)
    }
  }

  #differs(name: string, rules: readonly RuleText[]): boolean {
    const found = this.#want(name, rules.length)
    return found === undefined || !this.#same(rules, found)
  }

  #want(name: string, rules: number): readonly string[] | undefined {
    this.#wanted.add(name)
    this.rules += rules
    return this.#found.chains.get(name)
  }

  #same(wanted: readonly RuleText[], found: readonly string[]): boolean {
    return wanted.length === found.length && wanted.every((rule, i) => canonicalRule(rule, this.#family) === found[i])
  }

  #sameInAnyOrder(wanted: readonly MemberRule[], found: readonly string[]): boolean {
    const left = new Map<string, number>()
    for (const rule of found) left.set(rule, (left.get(rule) ?? 0) + 1)
    return wanted.every(({ rule }) => {
      const text = canonicalRule(rule, this.#family)
      const count = left.get(text) ?? 0
      left.set(text, count - 1)
      return count > 0
    })
  }
}

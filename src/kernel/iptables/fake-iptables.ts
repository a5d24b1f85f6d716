import { assertNever } from '../../model/assert-never.ts'
import type { Family } from '../../model/ip.ts'
import type { Iptables, Variant } from './iptables.ts'
import { IptablesError } from './iptables-error.ts'
import { keepPolicies, type Statement, type TableChange } from './restore-builder.ts'
import { type RuleText, ruleTarget } from './rule-text.ts'
import type { Counters, Saved, SavedTable } from './save-parser.ts'
import { type TableName, tableNames } from './table-name.ts'

/** The hooks of each table (net/ipv4/netfilter/iptable_*.c). */
const builtInChains: Readonly<Record<TableName, readonly string[]>> = {
  raw: ['PREROUTING', 'OUTPUT'],
  mangle: ['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING'],
  nat: ['PREROUTING', 'INPUT', 'OUTPUT', 'POSTROUTING'],
  filter: ['INPUT', 'FORWARD', 'OUTPUT'],
  security: ['INPUT', 'FORWARD', 'OUTPUT'],
}

interface FakeChain {
  policy: string | undefined
  counters: Counters
  rules: RuleText[]
}
type FakeTable = Map<string, FakeChain>

/** {@link Iptables} in memory: atomic per table, and as strict as the kernel about chains. Rules are compared as text. */
export class FakeIptables implements Iptables {
  readonly variant: Variant
  readonly family: Family
  /** Every restore so far, failed ones too. */
  readonly restores: (readonly TableChange[])[] = []
  #tables = new Map<TableName, FakeTable>()
  #failures: IptablesError[] = []

  constructor(variant: Variant, family: Family) {
    this.variant = variant
    this.family = family
  }

  /** The next restore is rejected with this error and changes nothing. */
  failNext(error: IptablesError): void {
    this.#failures.push(error)
  }

  async tables(): Promise<readonly TableName[]> {
    return tableNames.filter((name) => this.#tables.has(name))
  }

  async save(signal: AbortSignal): Promise<Saved> {
    signal.throwIfAborted()
    const names = await this.tables()
    return { tables: names.map((name) => savedTable(name, this.#tables.get(name) ?? new Map())), incompatible: [] }
  }

  async restore(changes: readonly TableChange[], signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    this.restores.push(changes)
    const failure = this.#failures.shift()
    if (failure !== undefined) throw failure
    for (const { table, statements } of changes) {
      const next = structuredClone(this.#tables.get(table)) ?? newTable(table)
      if (this.variant === 'legacy') for (const chain of next.values()) chain.counters = zero
      for (const statement of statements) execute(next, statement)
      checkTargets(next)
      this.#tables.set(table, next)
    }
  }

  async update(
    table: TableName,
    decide: (table: SavedTable) => readonly Statement[],
    signal: AbortSignal,
  ): Promise<void> {
    const saved = (await this.save(signal)).tables.find(({ name }) => name === table)
    const statements = saved === undefined ? [] : decide(saved)
    if (saved === undefined || statements.length === 0) return
    await this.restore([{ table, statements: [...keepPolicies(saved), ...statements] }], signal)
  }
}

const zero: Counters = { packets: 0n, bytes: 0n }

const newTable = (table: TableName): FakeTable =>
  new Map(builtInChains[table].map((chain) => [chain, { policy: 'ACCEPT', counters: zero, rules: [] }]))

const savedTable = (name: TableName, table: FakeTable): SavedTable => {
  const chains = [...table].map(([chain, { policy, counters }]) => [chain, { name: chain, policy, counters }] as const)
  const rules = [...table].flatMap(([chain, { rules }]) =>
    rules.map((rule) => ({ chain, rule, target: ruleTarget(rule), counters: zero })),
  )
  return { name, chains: new Map(chains), rules }
}

const reject = (reason: string): never => {
  throw new IptablesError('rejected', 'iptables-restore', reason)
}

const execute = (table: FakeTable, statement: Statement): void => {
  const { chain: name } = statement
  if (statement.kind === 'chain') {
    if (table.get(name)?.policy === undefined) table.set(name, { policy: undefined, counters: zero, rules: [] })
    return
  }
  const chain = table.get(name) ?? reject(`no chain ${name}`)
  switch (statement.kind) {
    case 'policy':
      if (chain.policy === undefined) reject(`${name} is not built in`)
      chain.policy = statement.policy
      chain.counters = statement.counters
      return
    case 'append':
      chain.rules.push(statement.rule)
      return
    case 'insert':
      chain.rules.unshift(statement.rule)
      return
    case 'delete': {
      const at = chain.rules.indexOf(statement.rule)
      if (at < 0) reject(`no such rule in ${name}`)
      chain.rules.splice(at, 1)
      return
    }
    case 'flush':
      chain.rules = []
      return
    case 'deleteChain':
      if (chain.policy !== undefined || chain.rules.length > 0 || isUsed(table, name)) reject(`${name} is in use`)
      table.delete(name)
      return
    default:
      assertNever(statement, 'statement')
  }
}

const isUsed = (table: FakeTable, name: string): boolean =>
  [...table.values()].some(({ rules }) => rules.some((rule) => ruleTarget(rule)?.name === name))

/** Extensions are upper case without a dash, chains of this project's concern have one. */
const checkTargets = (table: FakeTable): void => {
  for (const { rules } of table.values())
    for (const rule of rules) {
      const target = ruleTarget(rule)?.name
      if (target?.includes('-') && !table.has(target)) reject(`no chain ${target}`)
    }
}

import type { Ipset, SetHeader, SetRef, SetSpec } from '../../src/kernel/ipset/ipset.ts'
import { IpsetError } from '../../src/kernel/ipset/ipset-error.ts'
import type { Member } from '../../src/kernel/ipset/member.ts'
import type { Iptables, Variant } from '../../src/kernel/iptables/iptables.ts'
import { IptablesError } from '../../src/kernel/iptables/iptables-error.ts'
import type { TableChange } from '../../src/kernel/iptables/restore-builder.ts'
import type { RulesetWatch } from '../../src/kernel/iptables/ruleset-watch.ts'
import type { Saved } from '../../src/kernel/iptables/save-parser.ts'
import type { TableName } from '../../src/kernel/iptables/table-name.ts'
import type { Family } from '../../src/model/ip.ts'
import type { Fault } from './sync-world.ts'

/** Says which write of a sync fails. */
export class Faults {
  #faults: Fault[] = []
  #writes = 0
  /** That happened, ever. */
  injected = 0

  begin(faults: readonly Fault[]): void {
    this.#faults = [...faults]
    this.#writes = 0
  }

  next(): Fault | undefined {
    const write = this.#writes++
    const at = this.#faults.findIndex((fault) => fault.at === write)
    if (at < 0) return undefined
    this.injected++
    return this.#faults.splice(at, 1)[0]
  }
}

/** What was done to rules and sets, in order. */
export type Operation =
  | { readonly kind: 'restore'; readonly family: Family; readonly changes: readonly TableChange[] }
  | { readonly kind: 'create' | 'destroy' | 'swap' | 'rename'; readonly set: string }
  | { readonly kind: 'add' | 'remove'; readonly set: string; readonly members: readonly Member[] }

/** What the doubles of one node share. */
export class Ledger {
  readonly ruleFaults = new Faults()
  readonly setFaults = new Faults()
  /** Since {@link begin}, those only that were carried out. */
  operations: Operation[] = []
  /** Looks at the kernel since {@link begin}. */
  looks = 0

  /** The first fault is one of rules, a second one of sets. */
  begin([first, ...others]: readonly Fault[] = []): void {
    this.ruleFaults.begin(first === undefined ? [] : [first])
    this.setFaults.begin(others)
    this.operations = []
    this.looks = 0
  }

  get injected(): number {
    return this.ruleFaults.injected + this.setFaults.injected
  }
}

/** Passes everything on, writes it down, and fails when told to. */
export class TestIptables implements Iptables {
  readonly variant: Variant
  readonly family: Family
  readonly #inner: Iptables
  readonly #ledger: Ledger
  /** Runs before each restore; what it throws is the answer. */
  beforeRestore: (changes: readonly TableChange[]) => void | Promise<void> = () => {}
  /** Replaces what is written. */
  rewrite: (changes: readonly TableChange[]) => readonly TableChange[] = (changes) => changes

  constructor(inner: Iptables, ledger: Ledger) {
    this.variant = inner.variant
    this.family = inner.family
    this.#inner = inner
    this.#ledger = ledger
  }

  tables(signal: AbortSignal): Promise<readonly TableName[]> {
    return this.#inner.tables(signal)
  }

  save(signal: AbortSignal): Promise<Saved> {
    this.#ledger.looks++
    return this.#inner.save(signal)
  }

  async restore(changes: readonly TableChange[], signal: AbortSignal): Promise<void> {
    const fault = this.#ledger.ruleFaults.next()
    await this.beforeRestore(changes)
    const op = 'iptables-restore'
    if (fault?.kind === 'refused') throw new IptablesError('rejected', op, 'refused', { line: 1 })
    if (fault?.kind === 'lost') throw new IptablesError('io', op, 'lost')
    const written = this.rewrite(changes)
    // One table after the other is committed, so a refusal may come in the middle.
    if (fault?.kind === 'program') {
      const first = written.slice(0, written.length > 1 ? 1 : 0)
      await this.#inner.restore(first, signal)
      const line = 1 + first.reduce((lines, { statements }) => lines + statements.length + 2, 0)
      throw new IptablesError('rejected', op, 'refused a table', { line })
    }
    await this.#inner.restore(written, signal)
    this.#ledger.operations.push({ kind: 'restore', family: this.family, changes })
    if (fault !== undefined) throw new IptablesError('io', op, 'killed')
  }

  update(table: TableName, decide: Parameters<Iptables['update']>[1], signal: AbortSignal): Promise<void> {
    return this.#inner.update(table, decide, signal)
  }
}

/** As {@link TestIptables}. */
export class TestIpset implements Ipset {
  readonly #inner: Ipset
  readonly #ledger: Ledger

  constructor(inner: Ipset, ledger: Ledger) {
    this.#inner = inner
    this.#ledger = ledger
  }

  list(signal: AbortSignal): Promise<readonly SetHeader[]> {
    this.#ledger.looks++
    return this.#inner.list(signal)
  }

  members(set: SetRef, signal: AbortSignal): Promise<readonly Member[]> {
    return this.#inner.members(set, signal)
  }

  create(spec: SetSpec, signal: AbortSignal): Promise<void> {
    return this.#write({ kind: 'create', set: spec.name }, () => this.#inner.create(spec, signal))
  }

  destroy(name: string, signal: AbortSignal): Promise<void> {
    return this.#write({ kind: 'destroy', set: name }, () => this.#inner.destroy(name, signal))
  }

  swap(one: string, other: string, signal: AbortSignal): Promise<void> {
    return this.#write({ kind: 'swap', set: one }, () => this.#inner.swap(one, other, signal))
  }

  rename(from: string, to: string, signal: AbortSignal): Promise<void> {
    return this.#write({ kind: 'rename', set: from }, () => this.#inner.rename(from, to, signal))
  }

  async add(set: SetRef, members: Iterable<Member>, signal: AbortSignal): Promise<void> {
    const all = [...members]
    await this.#write(
      { kind: 'add', set: set.name, members: all },
      () => this.#inner.add(set, all, signal),
      () => this.#inner.add(set, half(all), signal),
    )
  }

  async remove(set: SetRef, members: Iterable<Member>, signal: AbortSignal): Promise<void> {
    const all = [...members]
    await this.#write(
      { kind: 'remove', set: set.name, members: all },
      () => this.#inner.remove(set, all, signal),
      () => this.#inner.remove(set, half(all), signal),
    )
  }

  async #write(operation: Operation, write: () => Promise<void>, writeHalf = async () => {}): Promise<void> {
    const fault = this.#ledger.setFaults.next()
    const fail = (code: 'invalid' | 'io'): never => {
      throw new IpsetError({ code, op: operation.kind, reason: 'told to fail' })
    }
    if (fault?.kind === 'refused') fail('invalid')
    if (fault?.kind === 'lost') fail('io')
    if (fault?.kind === 'program') {
      await writeHalf()
      fail('invalid')
    }
    await write()
    this.#ledger.operations.push(operation)
    if (fault !== undefined) fail('io')
  }
}

const half = (members: readonly Member[]): readonly Member[] => members.slice(0, members.length >> 1)

/** Knows only what a test tells it. */
export class TestWatch implements RulesetWatch {
  trusts = true
  writes = 0

  async write<T>(_family: Family, _bytes: number, write: () => Promise<T>): Promise<T> {
    this.writes++
    return await write()
  }

  compared(): void {}

  untouched(): boolean {
    return this.trusts
  }

  close(): void {}
}

import { FakeIpset } from '../../src/kernel/ipset/fake-ipset.ts'
import type { Ipset, SetHeader } from '../../src/kernel/ipset/ipset.ts'
import { openIpset } from '../../src/kernel/ipset/netlink-ipset.ts'
import { FakeIptables } from '../../src/kernel/iptables/fake-iptables.ts'
import type { Iptables, Variant } from '../../src/kernel/iptables/iptables.ts'
import { IptablesClient } from '../../src/kernel/iptables/iptables-client.ts'
import { IptablesError } from '../../src/kernel/iptables/iptables-error.ts'
import type { TableChange } from '../../src/kernel/iptables/restore-builder.ts'
import { ruleWords } from '../../src/kernel/iptables/rule-text.ts'
import type { Saved } from '../../src/kernel/iptables/save-parser.ts'
import type { TableName } from '../../src/kernel/iptables/table-name.ts'
import { type Family, families } from '../../src/model/ip.ts'
import { never } from './sync-rig.ts'

/** Rules and sets of both families. */
export interface RuleKernel {
  readonly iptables: Readonly<Record<Family, Iptables>>
  readonly ipset: Ipset
}

/** The kernel of this network namespace. */
export const realKernel = (variant: Variant): RuleKernel & { close(): void } => {
  const ipset = openIpset()
  return {
    iptables: { IPv4: new IptablesClient(variant, 'IPv4'), IPv6: new IptablesClient(variant, 'IPv6') },
    ipset,
    close: () => ipset.close(),
  }
}

/** `there`: sets that are there from the start. */
export const fakeKernel = (variant: Variant = 'nft', there: Iterable<SetHeader> = []): RuleKernel => {
  const sets = new FakeIpset(there)
  const held = new Map<Family, ReadonlyMap<string, number>>()
  const of = (family: Family): Iptables => new SetAwareIptables(new FakeIptables(variant, family), sets, held)
  return { iptables: { IPv4: of('IPv4'), IPv6: of('IPv6') }, ipset: sets }
}

/** As the kernel, refuses rules that name a set which is not there, and holds those that rules name. */
class SetAwareIptables implements Iptables {
  readonly variant: Variant
  readonly family: Family
  readonly #inner: FakeIptables
  readonly #sets: FakeIpset
  /** Rules that name each set, by family. */
  readonly #held: Map<Family, ReadonlyMap<string, number>>

  constructor(inner: FakeIptables, sets: FakeIpset, held: Map<Family, ReadonlyMap<string, number>>) {
    this.variant = inner.variant
    this.family = inner.family
    this.#inner = inner
    this.#sets = sets
    this.#held = held
  }

  tables(): Promise<readonly TableName[]> {
    return this.#inner.tables()
  }

  save(signal: AbortSignal): Promise<Saved> {
    return this.#inner.save(signal)
  }

  async restore(changes: readonly TableChange[], signal: AbortSignal): Promise<void> {
    const there = new Set((await this.#sets.list(signal)).map(({ name }) => name))
    for (const { statements } of changes)
      for (const statement of statements) {
        const set = 'rule' in statement && statement.kind !== 'delete' ? setOf(statement.rule) : undefined
        if (set !== undefined && !there.has(set))
          throw new IptablesError('rejected', 'iptables-restore', `Set ${set} doesn't exist.`, { line: 1 })
      }
    try {
      await this.#inner.restore(changes, signal)
    } finally {
      await this.#count(there)
    }
  }

  async update(...args: Parameters<Iptables['update']>): Promise<void> {
    await this.#inner.update(...args)
    await this.#count(new Set((await this.#sets.list(never)).map(({ name }) => name)))
  }

  async #count(there: ReadonlySet<string>): Promise<void> {
    const counts = new Map<string, number>()
    for (const { rules } of (await this.#inner.save(never)).tables)
      for (const { rule } of rules) {
        const set = setOf(rule)
        if (set !== undefined) counts.set(set, (counts.get(set) ?? 0) + 1)
      }
    this.#held.set(this.family, counts)
    for (const set of there)
      this.#sets.setReferences(
        set,
        families.reduce((sum, family) => sum + (this.#held.get(family)?.get(set) ?? 0), 0),
      )
  }
}

const setOf = (rule: Parameters<typeof ruleWords>[0]): string | undefined => {
  if (!/--(match|map)-set/.test(rule)) return undefined
  const words = ruleWords(rule)
  return words[words.findIndex((word) => word === '--match-set' || word === '--map-set') + 1]
}

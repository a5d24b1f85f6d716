import type { Ipset, SetHeader } from '../../kernel/ipset/ipset.ts'
import type { Member } from '../../kernel/ipset/member.ts'
import type { Iptables } from '../../kernel/iptables/iptables.ts'
import type { SavedTable } from '../../kernel/iptables/save-parser.ts'
import type { TableName } from '../../kernel/iptables/table-name.ts'
import type { Family } from '../../model/ip.ts'
import type { Observed } from '../backend.ts'
import { serviceChain, weirChainPrefix } from '../kube-chains.ts'
import { allSetRoles, setName, setNamePrefix, setRoles } from './sets.ts'

/** What of a table matters to us. */
export interface ObservedTable {
  /** Rules as iptables-save prints them, by chain: built-in chains, and every chain that bears a name of ours. */
  readonly chains: ReadonlyMap<string, readonly string[]>
  /** Chains that rules outside our chains lead to. */
  readonly foreignTargets: ReadonlySet<string>
}

export interface ObservedSet {
  readonly header: SetHeader
  /** Undefined for a set that is not what its name says. */
  readonly members: ReadonlySet<Member> | undefined
}

/** The rules and sets of one family, as found. */
export interface ObservedRules extends Observed {
  readonly kind: 'rules'
  readonly tables: ReadonlyMap<TableName, ObservedTable>
  /** Sets with a name of ours. */
  readonly sets: ReadonlyMap<string, ObservedSet>
}

/** Chains that come and go with Services: whatever of them is not wanted is left over from an earlier run. */
export const comesAndGoes = (chain: string): boolean => serviceChain.test(chain) || chain.startsWith(weirChainPrefix)

/** `fixed`: names of the chains that are always there. */
export const observeRules = async (
  iptables: Iptables,
  ipset: Ipset | undefined,
  fixed: ReadonlySet<string>,
  signal: AbortSignal,
): Promise<ObservedRules> => {
  const saved = await iptables.save(signal)
  const tables = new Map(saved.tables.map((table) => [table.name, observeTable(table, fixed)]))
  const sets = ipset === undefined ? new Map<string, ObservedSet>() : await observeSets(ipset, iptables.family, signal)
  const counts = new Map<string, number>()
  for (const [name, { chains }] of tables) {
    let rules = 0
    for (const [chain, list] of chains) if (comesAndGoes(chain) || fixed.has(chain)) rules += list.length
    counts.set(name, rules)
  }
  for (const [name, { header }] of sets) counts.set(name, header.entries)
  return { kind: 'rules', tables, sets, counts }
}

export const asObservedRules = (observed: Observed | undefined): ObservedRules => {
  if (observed !== undefined && 'kind' in observed && observed.kind === 'rules') return observed as ObservedRules
  throw new TypeError('a full change needs what this backend has observed')
}

const observeTable = (table: SavedTable, fixed: ReadonlySet<string>): ObservedTable => {
  const chains = new Map<string, string[]>()
  const ours = new Set<string>()
  for (const { name, policy } of table.chains.values()) {
    const own = fixed.has(name) || comesAndGoes(name)
    if (own) ours.add(name)
    if (own || policy !== undefined) chains.set(name, [])
  }
  const foreignTargets = new Set<string>()
  for (const { chain, rule, target } of table.rules) {
    chains.get(chain)?.push(rule)
    if (!ours.has(chain) && target !== undefined) foreignTargets.add(target.name)
  }
  return { chains, foreignTargets }
}

const observeSets = async (
  ipset: Ipset,
  family: Family,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, ObservedSet>> => {
  const roles = new Map(allSetRoles.map((role) => [setName(role, family), role]))
  const found = new Map<string, ObservedSet>()
  for (const header of await ipset.list(signal)) {
    const { name } = header
    if (!name.startsWith(setNamePrefix(family))) continue
    const role = roles.get(name)
    const type = role === undefined ? undefined : setRoles[role].type
    const fits = type !== undefined && header.type === type && (header.family === undefined || header.family === family)
    const members = fits ? new Set(await ipset.members({ name, type, family }, signal)) : undefined
    found.set(name, { header, members })
  }
  return found
}

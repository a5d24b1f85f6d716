import type { SavedTable } from '../../kernel/iptables/save-parser.ts'
import { serviceChain, weirChainPrefix } from '../kube-chains.ts'

/** What of a table matters to us. */
export interface ObservedTable {
  /** Rules as iptables-save prints them, by chain: built-in chains, and every chain that bears a name of ours. */
  readonly chains: ReadonlyMap<string, readonly string[]>
  /** Chains that rules outside our chains lead to. */
  readonly foreignTargets: ReadonlySet<string>
}

/** Chains that come and go with Services: whatever of them is not wanted is left over from an earlier run. */
export const comesAndGoes = (chain: string): boolean => serviceChain.test(chain) || chain.startsWith(weirChainPrefix)

/** `fixed`: names of the chains that are always there. */
export const observeTable = (table: SavedTable, fixed: ReadonlySet<string>): ObservedTable => {
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

/** Rules in chains of ours. */
export const countRules = ({ chains }: ObservedTable, fixed: ReadonlySet<string>): number => {
  let rules = 0
  for (const [chain, list] of chains) if (comesAndGoes(chain) || fixed.has(chain)) rules += list.length
  return rules
}

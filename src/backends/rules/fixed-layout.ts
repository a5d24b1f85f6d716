import type { RuleText } from '../../kernel/iptables/rule-text.ts'
import type { RuleTable } from './rule-table.ts'

/** A chain that exists once: rules of its own around those of Services. */
export interface FixedChain {
  readonly name: string
  readonly head: readonly RuleText[]
  /** Rules that stay behind those of Services. */
  readonly tail: readonly RuleText[]
  /** Somebody else's: made when it is missing, never emptied or deleted. It has no rules of ours. */
  readonly shared?: true
}

/** A rule in a built-in chain, put before all that is there. */
export interface Hook {
  readonly chain: string
  readonly rule: RuleText
}

export interface FixedTable {
  /** In the order in which kube-proxy declares them. */
  readonly chains: readonly FixedChain[]
  /** In the order in which kube-proxy inserts them: the last one ends up first. */
  readonly hooks: readonly Hook[]
}

/** What does not depend on any Service. */
export type FixedLayout = Readonly<Record<RuleTable, FixedTable>>

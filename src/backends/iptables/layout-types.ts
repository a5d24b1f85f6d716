import type { Member } from '../../kernel/ipset/member.ts'
import type { RuleText } from '../../kernel/iptables/rule-text.ts'
import type { SetRole } from './sets.ts'

/** Rules that lead packets of one address and port, or of one NodePort, to the chains of their Service. */
export interface Entry {
  /**
   * What the packets have in common, as hexadecimal digits, most significant first: address (8 or 32 digits; none for a
   * NodePort), protocol (1 digit, see `protocolDigit`), port (4 digits). Unique within its chain.
   */
  readonly key: string
  /** Usually one; each matches all that the key says by itself. */
  readonly rules: readonly RuleText[]
}

/** A chain of table nat that belongs to one service port. */
export interface OwnChain {
  readonly name: string
  readonly rules: readonly RuleText[]
}

/** Chains of table filter that hold rules of many Services, in any order. */
export const filterMemberChains = [
  'KUBE-SERVICES',
  'KUBE-EXTERNAL-SERVICES',
  'KUBE-NODEPORTS',
  'KUBE-PROXY-FIREWALL',
] as const
export type FilterMemberChain = (typeof filterMemberChains)[number]

export interface FilterRule {
  readonly chain: FilterMemberChain
  readonly rule: RuleText
}

export interface SetElement {
  readonly set: SetRole
  readonly member: Member
}

/** Everything that one service port needs. Which chains entries go into, the plan decides. */
export interface ServiceLayout {
  readonly services: readonly Entry[]
  readonly nodePorts: readonly Entry[]
  readonly filter: readonly FilterRule[]
  readonly chains: readonly OwnChain[]
  /** Empty without ipset. */
  readonly elements: readonly SetElement[]
}

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
export interface FixedLayout {
  readonly filter: FixedTable
  readonly nat: FixedTable
  readonly mangle: FixedTable
}

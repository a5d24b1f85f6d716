import type { RuleText } from '../../kernel/iptables/rule-text.ts'
import type * as rules from '../rules/set-schema.ts'
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

export type SetElement = rules.SetElement<SetRole>

/** Everything that one service port needs. Which chains entries go into, the plan decides. */
export interface ServiceLayout {
  readonly services: readonly Entry[]
  readonly nodePorts: readonly Entry[]
  readonly filter: readonly FilterRule[]
  readonly chains: readonly OwnChain[]
  /** Empty without ipset. */
  readonly elements: readonly SetElement[]
}

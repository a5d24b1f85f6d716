import type { Family } from '../../model/ip.ts'

/** How packets find the chain of their Service: rule by rule as kube-proxy has it, or down a tree of chains. */
export const dispatches = ['flat', 'tree'] as const
export type Dispatch = (typeof dispatches)[number]

/** What the rules of one family depend on besides the node's state: configuration, and what kernel and tools can do. */
export interface IptablesSettings {
  readonly family: Family
  /** NodePorts are served on loopback addresses; never for IPv6. */
  readonly localhostNodePorts: boolean
  /** Packets that conntrack calls INVALID are dropped: unless tcp_be_liberal was on when the process started. */
  readonly dropInvalid: boolean
  /** MASQUERADE knows --random-fully. */
  readonly randomFully: boolean
  /** The kernel has nfacct, and the two objects that rules name exist. */
  readonly nfacct: boolean
  /** Sets carry what need not be a rule per Service. Off: kube-proxy's rules, byte for byte. */
  readonly ipset: boolean
  readonly dispatch: Dispatch
}

import type { Cidr } from '../../model/cidr.ts'
import type { Family } from '../../model/ip.ts'

/** Holds the addresses of virtual servers, so that packets to them are delivered locally, where IPVS takes them. */
export const ipvsDevice = 'kube-ipvs0'

/** What the rules of one family depend on besides the node's state: configuration, and what kernel and tools can do. */
export interface IpvsSettings {
  readonly family: Family
  /** For Services that ask for none, and where the kernel lacks what they ask for. As the kernel names it: `rr`. */
  readonly scheduler: string
  /** Virtual servers in them are never deleted, whoever made them. */
  readonly excludeCidrs: readonly Cidr[]
  /** How long a removed real server may keep its connections; 0 = as long as they last. */
  readonly drainMs: number
  /** MASQUERADE knows --random-fully. */
  readonly randomFully: boolean
}

import type { Cidr } from './cidr.ts'
import type { IP } from './ip.ts'

/** Our own Node, as far as a proxy reads it. */
export interface Node {
  readonly name: string
  /** InternalIPs first, then ExternalIPs. */
  readonly addresses: readonly IP[]
  readonly podCidrs: readonly Cidr[]
  /** Label topology.kubernetes.io/zone. */
  readonly zone: string | undefined
  /** deletionTimestamp is set, or the taint ToBeDeletedByClusterAutoscaler is there: not eligible for traffic. */
  readonly leaving: boolean
}

export interface ServiceCidr {
  readonly name: string
  readonly cidrs: readonly Cidr[]
}

import type { Cidr } from './cidr.ts'
import type { ConnectionOptions } from './connections.ts'
import type { IP } from './ip.ts'
import type { ServiceKey } from './names.ts'
import type { Port } from './port.ts'
import type { Protocol } from './protocol.ts'
import type { RequestedScheduling } from './scheduling.ts'

export type TrafficPolicy = 'Cluster' | 'Local'

export interface ServicePort {
  /** '' for the only port of a Service without a name. */
  readonly name: string
  readonly protocol: Protocol
  readonly port: Port
  readonly nodePort: Port | undefined
}

/**
 * The parts of a Service that a node proxy acts on, for both families. ExternalName and headless Services never get
 * this far. Every address has been parsed; what could not be is a {@link Problem}, not a value.
 */
export interface Service {
  readonly key: ServiceKey
  readonly namespace: string
  readonly name: string
  readonly uid: string
  /** Milliseconds since the epoch, 0 when unknown. Decides who keeps an address that two Services claim. */
  readonly created: number
  /** At most one of each family. */
  readonly clusterIPs: readonly IP[]
  readonly externalIPs: readonly IP[]
  /** Load-balancer ingress addresses whose ipMode is VIP or absent. */
  readonly loadBalancerIPs: readonly IP[]
  /** As written, both families; empty = unrestricted. */
  readonly sourceRanges: readonly Cidr[]
  readonly ports: readonly ServicePort[]
  readonly internalPolicy: TrafficPolicy
  /** Already 'Cluster' where the Service's type makes the field meaningless. */
  readonly externalPolicy: TrafficPolicy
  /** ClientIP affinity in seconds; undefined = none. */
  readonly affinitySeconds: number | undefined
  /** Set only for type LoadBalancer with externalTrafficPolicy Local. */
  readonly healthCheckNodePort: Port | undefined
  readonly scheduling: RequestedScheduling
  readonly connections: ConnectionOptions
}

import type { Cidr } from './cidr.ts'
import type { ConnectionOptions } from './connections.ts'
import type { Family, IP } from './ip.ts'
import type { ServiceKey, ServicePortId, ServicePortName } from './names.ts'
import type { Port } from './port.ts'
import type { Protocol } from './protocol.ts'
import type { Scheduling } from './scheduling.ts'
import type { TrafficPolicy } from './service.ts'

/** A real server that traffic may be sent to. */
export interface Target {
  readonly ip: IP
  readonly port: Port
  /** 1 unless the Service's annotation says otherwise; 0 only in `drained`. */
  readonly weight: number
  /** Runs on this node. */
  readonly local: boolean
}

/**
 * What one virtual server (a service port in one family) must do on this node. Backends see nothing else of a
 * Service. Addresses that another Service owns have been taken out. Lists are sorted and free of duplicates, so equal
 * clusters give equal states whatever the order of events was.
 */
export interface ServiceState {
  readonly id: ServicePortId
  readonly name: ServicePortName
  readonly service: ServiceKey
  readonly family: Family
  readonly protocol: Protocol
  readonly port: Port
  readonly clusterIP: IP | undefined
  readonly externalIPs: readonly IP[]
  readonly loadBalancerIPs: readonly IP[]
  readonly nodePort: Port | undefined
  /** Where the Service's health check answers, if that port is its own. */
  readonly healthCheckNodePort: Port | undefined
  /** For loadBalancerIPs only. undefined = anyone; otherwise as written, each once. They may overlap. */
  readonly sourceRanges: readonly Cidr[] | undefined
  /** A source range holds this node's IP: then the VIPs themselves are allowed sources too. */
  readonly nodeInSourceRanges: boolean
  readonly internalPolicy: TrafficPolicy
  readonly externalPolicy: TrafficPolicy
  readonly affinitySeconds: number | undefined
  /** `random` also stands for a backend's default: it is what the Service gets where it asks for nothing that can be had. */
  readonly scheduling: Scheduling
  readonly connections: ConnectionOptions
  /** Targets under policy Cluster: sorted by `ip:port` as text. */
  readonly cluster: readonly Target[]
  /** Targets under policy Local, same order. Empty when no policy of this service port needs them. */
  readonly local: readonly Target[]
  /** Endpoints of weight 0, whatever policies say, same order: they get nothing new. Absent where there are none. */
  readonly drained?: readonly Target[]
  /** Any usable endpoint anywhere: decides between reject (none) and drop (none local). */
  readonly hasEndpoints: boolean
}

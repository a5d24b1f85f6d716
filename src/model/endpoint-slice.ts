import type { Family, IP } from './ip.ts'
import type { ServiceKey, SliceKey } from './names.ts'
import type { Port } from './port.ts'
import type { Protocol } from './protocol.ts'

export interface EndpointPort {
  readonly name: string
  readonly protocol: Protocol
  readonly port: Port
}

/** One endpoint of a slice; conditions with the API's defaults applied. Every field is always present (one V8 shape). */
export interface Endpoint {
  readonly ip: IP
  readonly ready: boolean
  readonly serving: boolean
  readonly terminating: boolean
  readonly nodeName: string | undefined
  readonly zone: string | undefined
  /** `targetRef.name` when the target is a Pod. */
  readonly podName: string | undefined
  readonly zoneHints: readonly string[] | undefined
  readonly nodeHints: readonly string[] | undefined
}

export interface EndpointSlice {
  readonly key: SliceKey
  readonly service: ServiceKey
  /** The slice's addressType. */
  readonly family: Family
  readonly ports: readonly EndpointPort[]
  readonly endpoints: readonly Endpoint[]
  /** `endpoints.kubernetes.io/last-change-trigger-time`, milliseconds since the epoch. */
  readonly triggeredAt: number | undefined
}

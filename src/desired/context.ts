import type { Family, IP } from '../model/ip.ts'
import type { ServiceKey } from '../model/names.ts'
import type { Port } from '../model/port.ts'
import type { Scheduler } from '../model/scheduling.ts'
import type { ServicePort } from '../model/service.ts'

/** An address or port of the node that a Service asks for and another Service may have. */
export type AddressClaim =
  | {
      readonly kind: 'clusterIP' | 'loadBalancerIP' | 'externalIP'
      readonly service: ServiceKey
      readonly port: ServicePort
      readonly ip: IP
    }
  | { readonly kind: 'nodePort'; readonly service: ServiceKey; readonly port: ServicePort }
  | { readonly kind: 'healthCheckNodePort'; readonly service: ServiceKey; readonly number: Port }

/** What the desired state of a Service depends on besides the Service and its slices. One per family. */
export interface DesiredContext {
  readonly family: Family
  /** Our Node's name: endpoints with this `nodeName` are local. */
  readonly nodeName: string
  /** Our Node's label topology.kubernetes.io/zone. */
  readonly zone: string | undefined
  /** Our Node's IP in this family. */
  readonly nodeIP: IP | undefined
  /** Asked about every address and NodePort; what another Service owns is left out. */
  readonly owns: (claim: AddressClaim) => boolean
  /** What the backend can do. */
  readonly supportedSchedulers: ReadonlySet<Scheduler>
}

import type { IP } from './ip.ts'
import type { ServiceKey } from './names.ts'
import type { Port } from './port.ts'
import type { ServicePort } from './service.ts'

/** Something only one service port of the cluster can have on a node. */
export type Claim =
  | {
      readonly kind: 'clusterIP' | 'loadBalancerIP' | 'externalIP'
      readonly service: ServiceKey
      readonly port: ServicePort
      readonly ip: IP
    }
  | { readonly kind: 'nodePort'; readonly service: ServiceKey; readonly port: ServicePort }
  /** Belongs to the Service as a whole. A TCP port of the node, so it competes with TCP NodePorts too. */
  | { readonly kind: 'healthCheckNodePort'; readonly service: ServiceKey; readonly number: Port }

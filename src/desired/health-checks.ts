import type { Endpoint, EndpointSlice } from '../model/endpoint-slice.ts'
import { type IP, isFamily } from '../model/ip.ts'
import type { ServiceKey } from '../model/names.ts'
import type { Port } from '../model/port.ts'
import type { Service } from '../model/service.ts'
import type { DesiredContext } from './context.ts'
import { compareDuplicates } from './endpoints.ts'
import { weightOf } from './weights.ts'

/** What a Service's health check port answers in one family. */
export interface HealthCheck {
  readonly service: ServiceKey
  readonly namespace: string
  readonly name: string
  readonly port: Port
  /** Ready endpoints on this node, each address once. Terminating ones do not count even while they serve. */
  readonly localEndpoints: number
}

/** undefined when the Service has no health check port, does not own it, or has no ClusterIP of the family. */
export const healthCheck = (
  service: Service,
  slices: Iterable<EndpointSlice>,
  { family, nodeName, owns }: Pick<DesiredContext, 'family' | 'nodeName' | 'owns'>,
): HealthCheck | undefined => {
  const { key, namespace, name, healthCheckNodePort: port } = service
  if (port === undefined || !service.clusterIPs.some((ip) => isFamily(ip, family))) return undefined
  if (!owns({ kind: 'healthCheckNodePort', service: key, number: port })) return undefined
  const byIP = new Map<IP, Endpoint>()
  for (const slice of slices) {
    if (slice.family !== family || slice.ports.length === 0) continue
    for (const endpoint of slice.endpoints) {
      if (!isFamily(endpoint.ip, family) || weightOf(endpoint, service.scheduling.weights) === 0) continue
      const other = byIP.get(endpoint.ip)
      if (other === undefined || compareDuplicates(endpoint, other) < 0) byIP.set(endpoint.ip, endpoint)
    }
  }
  let localEndpoints = 0
  for (const endpoint of byIP.values()) if (endpoint.ready && endpoint.nodeName === nodeName) localEndpoints++
  return { service: key, namespace, name, port, localEndpoints }
}

import { type IP, isFamily } from '../model/ip.ts'
import type { Port } from '../model/port.ts'
import type { Service, ServicePort } from '../model/service.ts'
import type { DesiredContext } from './context.ts'

/** Where one service port can be reached in one family, without what other Services own. */
export interface Addresses {
  readonly clusterIP: IP | undefined
  readonly loadBalancerIPs: readonly IP[]
  readonly externalIPs: readonly IP[]
  readonly nodePort: Port | undefined
  readonly healthCheckNodePort: Port | undefined
}

const noIPs: readonly IP[] = []

/**
 * Every address is in one place only: one that the Service names several times counts as ClusterIP before load
 * balancer IP before external IP, so the stricter treatment (source ranges) wins.
 */
export const addressesOf = (
  service: Service,
  port: ServicePort,
  clusterIP: IP,
  { family, owns }: DesiredContext,
): Addresses => {
  const { key } = service
  const ours = (kind: 'loadBalancerIP' | 'externalIP', ips: readonly IP[], taken: readonly IP[]): readonly IP[] => {
    if (ips.length === 0) return noIPs
    const kept = new Set<IP>()
    for (const ip of ips) {
      const wanted = isFamily(ip, family) && ip !== clusterIP && !taken.includes(ip)
      if (wanted && owns({ kind, service: key, port, ip })) kept.add(ip)
    }
    return kept.size === 0 ? noIPs : [...kept].sort()
  }
  const loadBalancerIPs = ours('loadBalancerIP', service.loadBalancerIPs, noIPs)
  return {
    clusterIP: owns({ kind: 'clusterIP', service: key, port, ip: clusterIP }) ? clusterIP : undefined,
    loadBalancerIPs,
    externalIPs: ours('externalIP', service.externalIPs, loadBalancerIPs),
    nodePort: port.nodePort !== undefined && owns({ kind: 'nodePort', service: key, port }) ? port.nodePort : undefined,
    healthCheckNodePort:
      service.healthCheckNodePort !== undefined &&
      owns({ kind: 'healthCheckNodePort', service: key, number: service.healthCheckNodePort })
        ? service.healthCheckNodePort
        : undefined,
  }
}

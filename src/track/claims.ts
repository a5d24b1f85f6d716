import { assertNever } from '../model/assert-never.ts'
import type { Claim } from '../model/claim.ts'
import { type IP, isFamily } from '../model/ip.ts'
import type { Port } from '../model/port.ts'
import type { Protocol } from '../model/protocol.ts'
import type { Service, ServicePort } from '../model/service.ts'

export type ClaimKind = Claim['kind']

/** Lower wins, whatever the age. A NodePort carries traffic, a health check port only answers about it. */
const rank = {
  clusterIP: 0,
  loadBalancerIP: 1,
  externalIP: 2,
  nodePort: 0,
  healthCheckNodePort: 1,
} as const satisfies Record<ClaimKind, number>

/** One service port (or, for a health check port, one Service) asking for one thing. */
export interface Claimant {
  readonly kind: ClaimKind
  readonly service: Service
  /** undefined for a health check port. */
  readonly port: ServicePort | undefined
}

/** `address PROTOCOL port`, or `PROTOCOL port` for a port of the node. The address tells the family. */
export type ClaimKey = string

const addressKey = (ip: IP, { protocol, port }: ServicePort): ClaimKey => `${ip} ${protocol} ${port}`
const nodeKey = (protocol: Protocol, port: Port): ClaimKey => `${protocol} ${port}`

export const claimKey = (claim: Claim): ClaimKey | undefined => {
  switch (claim.kind) {
    case 'clusterIP':
    case 'loadBalancerIP':
    case 'externalIP':
      return addressKey(claim.ip, claim.port)
    case 'nodePort':
      return claim.port.nodePort === undefined ? undefined : nodeKey(claim.port.protocol, claim.port.nodePort)
    case 'healthCheckNodePort':
      return nodeKey('TCP', claim.number)
    default:
      return assertNever(claim, 'claim')
  }
}

/**
 * Calls `visit` for everything that `service` asks for. External addresses count only in families in which the
 * Service has a ClusterIP: elsewhere it is not proxied, and must not keep the address from a Service that is.
 */
export const forEachClaim = (service: Service, visit: (key: ClaimKey, claimant: Claimant) => void): void => {
  const { clusterIPs, loadBalancerIPs, externalIPs, ports, healthCheckNodePort } = service
  if (clusterIPs.length === 0) return
  const proxied = (ip: IP): boolean => clusterIPs.some((own) => isFamily(own, isFamily(ip, 'IPv6') ? 'IPv6' : 'IPv4'))
  for (const port of ports) {
    for (const ip of clusterIPs) visit(addressKey(ip, port), { kind: 'clusterIP', service, port })
    for (const ip of loadBalancerIPs)
      if (proxied(ip)) visit(addressKey(ip, port), { kind: 'loadBalancerIP', service, port })
    for (const ip of externalIPs) if (proxied(ip)) visit(addressKey(ip, port), { kind: 'externalIP', service, port })
    if (port.nodePort !== undefined) visit(nodeKey(port.protocol, port.nodePort), { kind: 'nodePort', service, port })
  }
  if (healthCheckNodePort !== undefined)
    visit(nodeKey('TCP', healthCheckNodePort), { kind: 'healthCheckNodePort', service, port: undefined })
}

/** The same service port asking twice, e.g. for an externalIP that is its load balancer's VIP too, is no conflict. */
export const sameClaimant = (a: Claimant, b: Claimant): boolean =>
  a.service.key === b.service.key && a.port?.name === b.port?.name

/** Who goes first: kind, then age (unknown last), then namespace/name, then port name. Never the order of events. */
export const compareClaimants = (a: Claimant, b: Claimant): number =>
  rank[a.kind] - rank[b.kind] ||
  age(a.service.created) - age(b.service.created) ||
  compareText(a.service.key, b.service.key) ||
  compareText(a.port?.name ?? '', b.port?.name ?? '')

const age = (created: number): number => (created === 0 ? Number.MAX_SAFE_INTEGER : created)
const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

/** The field of its Service in which a claimant asks, in kubectl's words. Positions are those of names, not of indexes. */
export const claimField = ({ kind, port }: Claimant): string => {
  switch (kind) {
    case 'clusterIP':
      return 'spec.clusterIPs'
    case 'loadBalancerIP':
      return 'status.loadBalancer.ingress'
    case 'externalIP':
      return 'spec.externalIPs'
    case 'nodePort':
      return port === undefined || port.name === ''
        ? 'spec.ports[0].nodePort'
        : `spec.ports[?(@.name=="${port.name}")].nodePort`
    case 'healthCheckNodePort':
      return 'spec.healthCheckNodePort'
    default:
      return assertNever(kind, 'claim kind')
  }
}

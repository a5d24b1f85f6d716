import type { ServiceState } from '../../model/desired.ts'
import type { HostState } from '../../model/host.ts'
import type { IP } from '../../model/ip.ts'
import type { Port } from '../../model/port.ts'

export type FrontKind = 'clusterIP' | 'externalIP' | 'loadBalancerIP' | 'nodePort'

/** One address and port of a service port; its protocol is that of the service port. */
export interface Front {
  readonly kind: FrontKind
  readonly ip: IP
  readonly port: Port
}

/** Each address and port once: a NodePort yields to an external IP that is a node address and has the same port. */
export const frontsOf = (state: ServiceState, host: HostState): readonly Front[] => {
  const { clusterIP, externalIPs, loadBalancerIPs, port, nodePort } = state
  const addressed: readonly Front[] = [
    ...(clusterIP === undefined ? [] : [{ kind: 'clusterIP', ip: clusterIP, port } as const]),
    ...externalIPs.map((ip) => ({ kind: 'externalIP', ip, port }) as const),
    ...loadBalancerIPs.map((ip) => ({ kind: 'loadBalancerIP', ip, port }) as const),
  ]
  if (nodePort === undefined) return addressed
  const taken = new Set(addressed.filter((front) => front.port === nodePort).map(({ ip }) => ip))
  const nodePorts = nodePortIPs(host)
    .filter((ip) => !taken.has(ip))
    .map((ip) => ({ kind: 'nodePort', ip, port: nodePort }) as const)
  return [...addressed, ...nodePorts]
}

/** Addresses of the node that take NodePorts. IPVS sends nothing from loopback elsewhere, so those never do. */
export const nodePortIPs = ({ addresses, nodePortAddresses }: HostState): readonly IP[] =>
  nodePortAddresses.kind === 'all'
    ? addresses.filter((ip) => !isLoopback(ip) && !isLinkLocal(ip))
    : nodePortAddresses.addresses.filter((ip) => !isLoopback(ip))

const isLoopback = (ip: IP): boolean => ip.startsWith('127.') || ip === '::1'

/** fe80::/10 */
const isLinkLocal = (ip: IP): boolean => /^fe[89ab][0-9a-f]:/.test(ip)

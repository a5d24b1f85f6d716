import { type Cidr, cidrBits, cidrContains, cidrFamily, hostCidr } from '../model/cidr.ts'
import type { NodePortAddresses } from '../model/host.ts'
import { type Family, type IP, isFamily } from '../model/ip.ts'
import { isLoopback, type NodeIPs } from './node-ips.ts'

/** `nodePortAddresses` of the configuration: a list of CIDRs (empty = every address), or the node's own IPs. */
export type NodePortSelector = 'primary' | readonly Cidr[]

/**
 * The addresses of one family that take NodePort traffic. A family for which the selector yields no CIDR accepts on
 * every address, as kube-proxy does: also the second family under `primary` on a single-stack node.
 * `loopback` = the backend can serve NodePorts on loopback; where it cannot, those addresses are left out.
 */
export const nodePortAddresses = (
  selector: NodePortSelector,
  { IPv4, IPv6 }: NodeIPs,
  interfaceAddresses: Iterable<IP>,
  family: Family,
  loopback: boolean,
): NodePortAddresses => {
  const cidrs =
    selector === 'primary'
      ? own(family === 'IPv4' ? IPv4 : IPv6)
      : selector.filter((cidr) => cidrFamily(cidr) === family)
  if (cidrs.length === 0 || cidrs.some((cidr) => cidrBits(cidr) === 0)) return { kind: 'all' }
  const addresses = new Set<IP>()
  for (const ip of interfaceAddresses) {
    if (!isFamily(ip, family) || (!loopback && isLoopback(ip))) continue
    if (cidrs.some((cidr) => cidrContains(cidr, ip))) addresses.add(ip)
  }
  return { kind: 'some', addresses: [...addresses].sort() }
}

const own = (ip: IP | undefined): readonly Cidr[] => (ip === undefined || isLoopback(ip) ? [] : [hostCidr(ip)])

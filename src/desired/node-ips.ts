import { type Family, familyOf, type IP, parseIP } from '../model/ip.ts'
import type { Node } from '../model/node.ts'

export interface NodeIPs {
  readonly primary: Family
  readonly IPv4: IP | undefined
  readonly IPv6: IP | undefined
}

const unspecified: ReadonlySet<string> = new Set(['0.0.0.0', '::'])

/**
 * The node's IP in each family: a specific bind address, else the Node's first address and its first one of the other
 * family. The primary family is that of the bind address, else of the Node's first address, else IPv4.
 * undefined = unknown; kube-proxy says loopback instead, which no rule can tell apart.
 */
export const nodeIPs = (bindAddress: IP | undefined, node: Node | undefined): NodeIPs => {
  const addresses = node?.addresses ?? []
  const bound = bindAddress === undefined || unspecified.has(bindAddress) ? undefined : bindAddress
  const first = (family: Family): IP | undefined =>
    bound !== undefined && familyOf(bound) === family ? bound : addresses.find((ip) => familyOf(ip) === family)
  const leading = bound ?? addresses[0]
  return { primary: leading === undefined ? 'IPv4' : familyOf(leading), IPv4: first('IPv4'), IPv6: first('IPv6') }
}

export const isLoopback = (ip: IP): boolean => ip === ipv6Loopback || ip.startsWith('127.')
const ipv6Loopback = parseIP('::1')

import type { Cidr } from '../model/cidr.ts'
import type { Config } from './config.ts'

/**
 * Which node addresses accept NodePorts. A family for which `cidrs` holds nothing accepts them on every address, as in
 * kube-proxy.
 */
export type NodePortSelection =
  | { readonly kind: 'all' }
  | { readonly kind: 'primary' }
  | { readonly kind: 'cidrs'; readonly cidrs: readonly Cidr[] }

/** Unset means what it means in the mode that was asked for: the node's primary addresses in nftables, else all. */
export const nodePortSelection = ({
  nodePortAddresses,
  requestedMode,
}: Pick<Config, 'nodePortAddresses' | 'requestedMode'>): NodePortSelection => {
  if (nodePortAddresses.kind !== 'unset') return nodePortAddresses
  return { kind: requestedMode === 'iptables' || requestedMode === 'ipvs' ? 'all' : 'primary' }
}

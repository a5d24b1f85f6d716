import type { Cidr } from '../model/cidr.ts'
import type { Config } from './config.ts'

/**
 * Which node addresses accept NodePorts: the node's own IPs, or those inside the CIDRs (none = every address). Unset
 * means what it means in the mode that was asked for: `primary` in nftables, every address in the others.
 */
export const nodePortSelection = ({
  nodePortAddresses,
  requestedMode,
}: Pick<Config, 'nodePortAddresses' | 'requestedMode'>): 'primary' | readonly Cidr[] => {
  if (nodePortAddresses.kind === 'cidrs') return nodePortAddresses.cidrs
  const everywhere = nodePortAddresses.kind === 'unset' && requestedMode !== '' && requestedMode !== 'nftables'
  return everywhere ? [] : 'primary'
}

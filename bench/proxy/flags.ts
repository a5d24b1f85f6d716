import { clusterCidr, ownNode } from '../cluster/addresses.ts'

/** How weir is started on the synthetic node. */
export const nodeFlags = [
  '--proxy-mode=nftables',
  `--hostname-override=${ownNode}`,
  `--cluster-cidr=${clusterCidr}`,
] as const

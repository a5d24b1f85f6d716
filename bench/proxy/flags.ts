import { clusterCidr, ownNode } from '../cluster/addresses.ts'

/** How weir is started on the synthetic node, but for the mode. */
const commonFlags = [`--hostname-override=${ownNode}`, `--cluster-cidr=${clusterCidr}`] as const

export const nodeFlags = ['--proxy-mode=nftables', ...commonFlags] as const
export const iptablesFlags = ['--proxy-mode=iptables', ...commonFlags] as const
/** Guests have no other iptables. */
export const ipvsFlags = ['--proxy-mode=ipvs', '--iptables-variant=legacy', ...commonFlags] as const

/** A mode that a configuration may ask for; '' leaves it to the default. */
export const requestableModes = ['', 'iptables', 'ipvs', 'nftables', 'userspace'] as const
export type RequestedMode = (typeof requestableModes)[number]

/** A mode that there is a backend for. */
export type Mode = Exclude<RequestedMode, ''>

/**
 * What runs when `mode` is asked for. weir's default is nftables, kube-proxy's is iptables. kube-proxy had a mode
 * userspace of its own until v1.25.
 */
export const modeOf = (mode: string): Mode =>
  mode === 'iptables' || mode === 'ipvs' || mode === 'userspace' ? mode : 'nftables'

/** The section that supplies syncPeriod and minSyncPeriod. */
export const periodSection = (mode: string): 'iptables' | 'ipvs' | 'nftables' =>
  mode === 'iptables' || mode === 'ipvs' ? mode : 'nftables'

/** The section that supplies masqueradeAll and masqueradeBit: ipvs has none of its own. */
export const masqueradeSection = (mode: string): 'iptables' | 'nftables' =>
  mode === 'iptables' || mode === 'ipvs' ? 'iptables' : 'nftables'

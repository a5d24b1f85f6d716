import type { NftClient } from '../../kernel/nft/client.ts'
import type { Support } from '../backend.ts'
import { unsupportedBy } from '../nft-support.ts'

/** kube-proxy's floor; older ones lack set comments and typeof. */
const oldestNft = [1, 0, 1] as const

const olderThan = (version: readonly number[], floor: readonly number[]): boolean => {
  for (let i = 0; i < floor.length; i++) {
    const difference = (version[i] ?? 0) - (floor[i] ?? 0)
    if (difference !== 0) return difference < 0
  }
  return false
}

/**
 * Feature probe instead of a kernel version: one script that has every construct our table needs, on a table of its own
 * that the same transaction deletes. Nothing is left behind, and packets never see it.
 */
const probeScript = `table ip weir-probe {
	map m { typeof ip daddr . meta l4proto . th dport . numgen random mod 65536 : ip daddr . th dport; comment "probe"; }
	map v { type ipv4_addr . inet_proto . inet_service : verdict; }
	map a { type ipv4_addr . ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service; size 16; flags dynamic,timeout; }
	set i { type ipv4_addr . inet_proto . inet_service . ipv4_addr; flags interval; }
	chain c { dnat to ip daddr . meta l4proto . th dport . jhash ip saddr mod 3 seed 0x1 map @m; }
	chain p { type nat hook prerouting priority -100; fib daddr type local ip daddr . meta l4proto . th dport vmap @v; }
	chain q { type nat hook postrouting priority 100; ct status dnat masquerade fully-random; }
	chain r { type filter hook prerouting priority -90; ct state new ct status dnat / confirmed,dnat accept; }
	chain f { type filter hook input priority 0; ct state new tcp flags != syn / syn,ack reject with tcp reset; reject; }
}
delete table ip weir-probe
`

/** Whether this kernel, this `nft` and our privileges are enough. */
export const probeNft = async (client: NftClient, signal: AbortSignal): Promise<Support> => {
  try {
    const version = await client.version(signal)
    if (olderThan(version.split('.').map(Number), oldestNft)) {
      return { kind: 'unsupported', why: `nft ${version} is too old: 1.0.1 or newer is needed` }
    }
    await client.runText(probeScript, signal)
    return { kind: 'supported' }
  } catch (error) {
    return unsupportedBy(error, "this kernel lacks something that weir's rules need")
  }
}

import type { Cidr } from '../../model/cidr.ts'
import type { Family, IP } from '../../model/ip.ts'
import type { KernelError } from '../netlink/error.ts'

/** What becomes of the packets: RTN_* of linux/rtnetlink.h. `other`: everything that is only read here. */
export type RouteKind = 'unicast' | 'local' | 'blackhole' | 'unreachable' | 'other'

/** A line of `ip route`. */
export interface RouteEntry {
  readonly kind: RouteKind
  readonly destination: Cidr
  /** 254 is main, 255 local. */
  readonly table: number
  /** The lowest wins; 0 for IPv6 stands for 1024 (IP6_RT_PRIO_USER). */
  readonly metric: number
  /** Index of the interface. Undefined for routes that need none, and for those of several next hops. */
  readonly index: number | undefined
  readonly gateway: IP | undefined
}

export interface RouteRefusal {
  readonly entry: RouteEntry
  readonly error: KernelError
}

/** The routing tables of this process's namespace. Rejections are KernelError, or the signal's reason. */
export interface Routes {
  /** In no particular order. Empty when there is no such table. */
  list(filter: { readonly family: Family; readonly table: number }, signal: AbortSignal): Promise<readonly RouteEntry[]>
  /**
   * In as few datagrams as it takes; removed first, then added. Removed is what has the destination, table and kind (the
   * kernel does not look at that of IPv6 routes), and the metric, interface and gateway as far as they are given: 0 and
   * undefined stand for any. What is gone already is no error. Added is in place of what has the same destination, table
   * and metric. Each is accepted or refused by itself; `invalid` for kinds that are only read.
   */
  change(
    change: { readonly add: readonly RouteEntry[]; readonly remove: readonly RouteEntry[] },
    signal: AbortSignal,
  ): Promise<readonly RouteRefusal[]>
}

import { activeCost } from './cost.ts'
import { leastLoaded } from './least-loaded.ts'
import type { Bind } from './scheduler.ts'

/**
 * Weighted least connection: the usable server with the smallest overhead / weight, the first in list order of several. O(n).
 *
 *     overhead = active × 256 + active + inactive     (`legacy`: without the second active)
 *     a later server wins when overhead(best) × weight > overhead × weight(best)
 *
 * Source: net/netfilter/ipvs/ip_vs_wlc.c.
 */
export const wlc: Bind = ({ items }, options) => {
  const active = activeCost(options.overhead)
  return { pick: () => leastLoaded(items, active) }
}

import { activeCost, overhead } from './cost.ts'
import type { Bind } from './scheduler.ts'
import { isUsable, type Server } from './server.ts'

/**
 * Least connection: the usable server with the smallest overhead, the first in list order of several. Weights count only
 * as 0 or not. O(n).
 *
 *     overhead = active × 256 + active + inactive     (`legacy`: without the second active)
 *
 * Source: net/netfilter/ipvs/ip_vs_lc.c.
 */
export const lc: Bind = ({ items }, options) => {
  const active = activeCost(options.overhead)
  return {
    pick() {
      let least: Server | undefined
      let leastOverhead = 0
      for (let i = 0; i < items.length; i++) {
        const server = items[i]
        if (server === undefined || !isUsable(server)) continue
        const load = overhead(server, active)
        if (least === undefined || load < leastOverhead) {
          least = server
          leastOverhead = load
        }
      }
      return least
    },
  }
}

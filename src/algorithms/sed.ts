import { productExceeds } from './cost.ts'
import type { Bind } from './scheduler.ts'
import { isUsable, type Server } from './server.ts'

/**
 * Shortest expected delay: the usable server with the smallest (active + 1) / weight, the first in list order of several.
 * Inactive connections do not count, so UDP always goes to the first of the heaviest servers. O(n).
 *
 * Source: net/netfilter/ipvs/ip_vs_sed.c.
 */
export const sed: Bind = ({ items }) => ({
  pick() {
    let least: Server | undefined
    for (let i = 0; i < items.length; i++) {
      const server = items[i]
      if (server === undefined || !isUsable(server)) continue
      if (least === undefined || productExceeds(least.active + 1, server.weight, server.active + 1, least.weight))
        least = server
    }
    return least
  },
})

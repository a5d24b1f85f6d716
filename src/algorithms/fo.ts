import type { Bind } from './scheduler.ts'
import { isUsable, type Server } from './server.ts'

/**
 * Weighted fail over: the usable server with the largest weight, the first in list order of several, whatever its load. O(n).
 *
 * Source: net/netfilter/ipvs/ip_vs_fo.c.
 */
export const fo: Bind = ({ items }) => ({
  pick() {
    let heaviest: Server | undefined
    for (let i = 0; i < items.length; i++) {
      const server = items[i]
      if (server === undefined || !isUsable(server)) continue
      if (heaviest === undefined || server.weight > heaviest.weight) heaviest = server
    }
    return heaviest
  },
})

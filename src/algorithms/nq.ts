import { productExceeds } from './cost.ts'
import type { Bind } from './scheduler.ts'
import { isUsable, type Server } from './server.ts'

/**
 * Never queue: the first usable server in list order without an active connection, whatever its weight; when all are
 * busy, the smallest (active + 1) / weight as sed has it. Inactive connections do not count, so UDP always goes to the
 * first usable server. O(n).
 *
 * Source: net/netfilter/ipvs/ip_vs_nq.c.
 */
export const nq: Bind = ({ items }) => ({
  pick() {
    let least: Server | undefined
    for (let i = 0; i < items.length; i++) {
      const server = items[i]
      if (server === undefined || !isUsable(server)) continue
      if (server.active === 0) return server
      if (least === undefined || productExceeds(least.active + 1, server.weight, server.active + 1, least.weight))
        least = server
    }
    return least
  },
})

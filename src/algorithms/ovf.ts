import type { Bind } from './scheduler.ts'
import { isUsable, type Server } from './server.ts'

/**
 * Weighted overflow: the usable server with the largest weight among those with active ≤ weight, the first in list order
 * of several; nobody when all have more. A server therefore takes weight + 1 active connections before the next one's turn.
 * Inactive connections do not count, so UDP never overflows. O(n).
 *
 * Source: net/netfilter/ipvs/ip_vs_ovf.c.
 */
export const ovf: Bind = ({ items }) => ({
  pick() {
    let heaviest: Server | undefined
    for (let i = 0; i < items.length; i++) {
      const server = items[i]
      if (server === undefined || !isUsable(server) || server.active > server.weight) continue
      if (heaviest === undefined || server.weight > heaviest.weight) heaviest = server
    }
    return heaviest
  },
})

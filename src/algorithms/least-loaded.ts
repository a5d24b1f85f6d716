import { overhead, productExceeds } from './cost.ts'
import { isUsable, type Server } from './server.ts'

/**
 * The usable server with the least overhead per weight, the first in list order of several: the choice of wlc, and that
 * of lblc and lblcr when their cache does not help. O(n). `active`: from `activeCost`.
 */
export const leastLoaded = (servers: readonly Server[], active: number): Server | undefined => {
  let least: Server | undefined
  let leastOverhead = 0
  let leastWeight = 0
  for (let i = 0; i < servers.length; i++) {
    const server = servers[i]
    if (server === undefined || !isUsable(server)) continue
    const load = overhead(server, active)
    if (least === undefined || productExceeds(leastOverhead, server.weight, load, leastWeight)) {
      least = server
      leastOverhead = load
      leastWeight = server.weight
    }
  }
  return least
}

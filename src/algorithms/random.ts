import type { Bind } from './scheduler.ts'
import { SchedulerError } from './scheduler-error.ts'
import { isUsable, usableWeight } from './server.ts'

/**
 * Random: each usable server with a chance of its weight / sum of the weights, whatever its load. With equal weights that is
 * what kube-proxy's iptables and nftables modes do. LVS has no such scheduler. O(n).
 */
export const random: Bind = ({ items }, options) => {
  const source = options.random
  if (source === undefined) throw new SchedulerError('no-source', 'random', 'no source of random numbers')
  return {
    pick() {
      const total = usableWeight(items)
      if (total === 0) return undefined
      let left = source(total)
      for (let i = 0; i < items.length; i++) {
        const server = items[i]
        if (server === undefined || !isUsable(server)) continue
        left -= server.weight
        if (left < 0) return server
      }
      return undefined
    },
  }
}

import { activeCost } from './cost.ts'
import { isCrowded } from './crowded.ts'
import { DestinationCache, defaultCacheLimit } from './destination-cache.ts'
import { leastLoaded } from './least-loaded.ts'
import type { Bind } from './scheduler.ts'
import { SchedulerError } from './scheduler-error.ts'
import type { Server } from './server.ts'

/**
 * Locality-based least connection: a destination address stays with the server that it got, which wlc chose; for caches
 * behind a firewall mark. O(1) for a known destination whose server is not busy, else O(n).
 *
 *     stays while the server is in the list, has a weight above 0, and is not crowded
 *     crowded: active > weight, and some server of the service has active × 2 < weight
 *
 * The overload flag of the remembered server does **not** matter; wlc heeds it for those that are chosen anew. When wlc
 * finds nobody the entry stays as it is. `tick` drops entries that were unused for `expiration` seconds, on every 30th call;
 * beyond 16384 entries up to 8192 of those unused for six minutes, on each.
 * Source: net/netfilter/ipvs/ip_vs_lblc.c.
 */
export const lblc: Bind = (servers, options) => {
  const { now } = options
  if (now === undefined) throw new SchedulerError('no-source', 'lblc', 'no clock')
  const active = activeCost(options.overhead)
  const cache = new DestinationCache<Server>(options.expiration ?? 86400, options.cacheLimit ?? defaultCacheLimit)
  const { items } = servers
  return {
    pick({ destination }) {
      const entry = cache.get(destination)
      if (entry !== undefined) {
        const known = entry.value
        entry.lastUse = now()
        if (known.weight > 0 && servers.has(known) && !isCrowded(known, items)) return known
      }
      const chosen = leastLoaded(items, active)
      if (chosen === undefined) return undefined
      if (entry !== undefined) entry.value = chosen
      else if (cache.hasRoom) cache.learn(destination, chosen, now())
      return chosen
    },
    tick: () => cache.tick(now()),
  }
}

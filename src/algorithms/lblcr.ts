import { activeCost } from './cost.ts'
import { isCrowded } from './crowded.ts'
import { DestinationCache, defaultCacheLimit } from './destination-cache.ts'
import { leastLoaded } from './least-loaded.ts'
import { ReplicaSet } from './replica-set.ts'
import type { Bind } from './scheduler.ts'
import { SchedulerError } from './scheduler-error.ts'

/**
 * Locality-based least connection with replication: a destination address has a set of servers, which grows while they are
 * busy and shrinks again later; for caches behind a firewall mark. O(set) for a known destination whose best server is not
 * busy, else O(n).
 *
 *     best = the member with the smallest overhead / weight that is in the list and usable, the first of several
 *     best is picked if there is one and it is not crowded (as in lblc);
 *     else what wlc chooses, which joins the set at its front if it is not in it
 *
 * A set of several that has not changed for more than `expiration` seconds loses the member with the **largest** overhead /
 * weight, the first of several, after `best` was found and even if it is the best. Unlike in lblc the overload flag counts
 * within the set. `tick` drops whole entries as in lblc. Source: net/netfilter/ipvs/ip_vs_lblcr.c.
 */
export const lblcr: Bind = (servers, options) => {
  const { now, expiration = 86400 } = options
  if (now === undefined) throw new SchedulerError('no-source', 'lblcr', 'no clock')
  const active = activeCost(options.overhead)
  const cache = new DestinationCache<ReplicaSet>(expiration, options.cacheLimit ?? defaultCacheLimit)
  const { items } = servers
  return {
    pick({ destination }) {
      const time = now()
      const entry = cache.get(destination)
      if (entry === undefined) {
        const chosen = leastLoaded(items, active)
        if (chosen !== undefined && cache.hasRoom) cache.learn(destination, new ReplicaSet(chosen, time), time)
        return chosen
      }
      entry.lastUse = time
      const set = entry.value
      const best = set.least(servers, active)
      if (set.size > 1 && time > set.lastChange + expiration) set.dropMost(active, time)
      if (best !== undefined && !isCrowded(best, items)) return best
      const chosen = leastLoaded(items, active)
      if (chosen !== undefined) set.add(chosen, time)
      return chosen
    },
    tick: () => cache.tick(now()),
  }
}

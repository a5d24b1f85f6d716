import { cidrFamily } from '../../model/cidr.ts'
import type { Family } from '../../model/ip.ts'
import { notWritable } from './netlink-routes.ts'
import type { RouteEntry, RouteRefusal, Routes } from './route-entry.ts'

/** IP6_RT_PRIO_USER of net/ip6_route.h. */
const usualIPv6Metric = 1024

/** {@link Routes} in memory. Takes every interface and gateway for good, and makes no routes for addresses. */
export class FakeRoutes implements Routes {
  #entries: readonly RouteEntry[] = []

  async list(
    { family, table }: { readonly family: Family; readonly table: number },
    signal: AbortSignal,
  ): Promise<readonly RouteEntry[]> {
    signal.throwIfAborted()
    return this.#entries.filter((entry) => entry.table === table && cidrFamily(entry.destination) === family)
  }

  async change(
    { add, remove }: { readonly add: readonly RouteEntry[]; readonly remove: readonly RouteEntry[] },
    signal: AbortSignal,
  ): Promise<readonly RouteRefusal[]> {
    signal.throwIfAborted()
    const refusals: RouteRefusal[] = []
    const each = (list: readonly RouteEntry[], verb: string, change: (entry: RouteEntry) => void): void => {
      for (const entry of list)
        if (entry.kind === 'other') refusals.push({ entry, error: notWritable(`${verb} route ${entry.destination}`) })
        else change(entry)
    }
    each(remove, 'remove', (wanted) => {
      const [found] = this.#entries.filter((entry) => isMeant(entry, wanted)).sort((a, b) => a.metric - b.metric)
      this.#entries = this.#entries.filter((entry) => entry !== found)
    })
    each(add, 'add', (given) => {
      const isIPv6 = cidrFamily(given.destination) === 'IPv6'
      const entry = isIPv6 && given.metric === 0 ? { ...given, metric: usualIPv6Metric } : given
      this.#entries = [...this.#entries.filter((other) => !isReplaced(other, entry)), entry]
    })
    return refusals
  }
}

const isMeant = (entry: RouteEntry, { kind, destination, table, metric, index, gateway }: RouteEntry): boolean =>
  entry.destination === destination &&
  entry.table === table &&
  (entry.kind === kind || cidrFamily(destination) === 'IPv6') &&
  (metric === 0 || entry.metric === metric) &&
  (index === undefined || entry.index === index) &&
  (gateway === undefined || entry.gateway === gateway)

const isReplaced = (entry: RouteEntry, { destination, table, metric }: RouteEntry): boolean =>
  entry.destination === destination && entry.table === table && entry.metric === metric

import { foldToInt, maglevSlot } from './hash.ts'
import { type MaglevServer, maglevSizes, maglevTable } from './mh-table.ts'
import type { Bind } from './scheduler.ts'
import { SchedulerError } from './scheduler-error.ts'
import { isUsable, type Server } from './server.ts'

/**
 * Maglev hashing: a large table in which each server takes slots in an order of its own, so that most clients keep their
 * server when another one comes or goes. O(1).
 *
 *     slot = SipHash-1-3(client + port) mod size; without the flag `mh-port` the port is 0
 *     offset = hash1(server + port) mod size, skip = hash2(server + port) mod (size - 1) + 1
 *     turns = (last weight / gcd) >> max(0, bits of (largest / gcd) - bits of the size / 2), at least 1
 *
 * Round after round in list order each server takes `turns` free slots of offset, offset + skip, offset + 2 × skip, …
 * Shares follow the last weight that was not 0, so quiescing a server moves no slot; what hits them finds nobody, or with the
 * flag `mh-fallback` tries hash1(client + port + r) for r = slot, slot + 1, …: the table's size of them, around its end.
 * Filled anew after every add, remove and update, which takes O(size + n). As in a 64-bit kernel. More servers than slots
 * cannot be bound; added later, they leave the table as it was. Source: net/netfilter/ipvs/ip_vs_mh.c, lib/siphash.c.
 */
export const mh: Bind = (servers, options) => {
  const size = options.maglevSize ?? 4093
  if (!maglevSizes.some((known) => known === size))
    throw new SchedulerError('out-of-range', 'maglev size', `${size} is none of ${maglevSizes.join(', ')}`)
  if (servers.items.length > size)
    throw new SchedulerError('too-many-servers', 'bind', `${servers.items.length} servers for ${size} slots`)
  const withPort = options.flags?.includes('mh-port') ?? false
  const fallback = options.flags?.includes('mh-fallback') ?? false

  let owners: readonly Server[] = []
  let table: Uint16Array = new Uint16Array(0)
  const fill = (): void => {
    if (servers.items.length > size) return
    owners = [...servers.items]
    table = maglevTable(owners.map(placed), size)
  }
  fill()

  /** Nobody when no weight was ever above 0, or when the owner left while there were more servers than slots. */
  const ownerOf = (slot: number): Server | undefined => {
    const owner = owners[table[slot] ?? none]
    return owner !== undefined && (owners.length === servers.items.length || servers.has(owner)) ? owner : undefined
  }
  const another = (key: number, first: number): Server | undefined => {
    for (let k = 0; k < size; k++) {
      const owner = ownerOf(maglevSlot((key + ((first + k) % size)) | 0, size))
      if (owner === undefined) return undefined
      if (isUsable(owner)) return owner
    }
    return undefined
  }
  return {
    pick({ client, clientPort }) {
      const key = ((withPort ? clientPort : 0) + foldToInt(client)) | 0
      const slot = maglevSlot(key, size)
      const owner = ownerOf(slot)
      if (owner === undefined || isUsable(owner)) return owner
      return fallback ? another(key, slot) : undefined
    },
    added: fill,
    removed: fill,
    updated: fill,
  }
}

const none = -1

const placed = ({ ip, port, lastWeight }: Server): MaglevServer => ({ ip, port, weight: lastWeight })

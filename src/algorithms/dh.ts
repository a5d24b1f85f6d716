import { foldToInt, hash32 } from './hash.ts'
import { HashBuckets } from './hash-buckets.ts'
import type { Bind } from './scheduler.ts'
import { isUsable } from './server.ts'

/**
 * Destination hashing: a bucket per hash of the address that the client asked for, for caches behind a firewall mark. A
 * service with one address sends everything to one server. O(1).
 *
 *     bucket = (destination × 0x61C88647 mod 2^32) >> 24, owner = the server at position bucket mod n
 *
 * Weights count only as 0 or not, and only when picking: a server keeps its buckets while it is quiesced or overloaded, and
 * what hits them finds nobody. Dealt out anew after every add and remove.
 * Source: net/netfilter/ipvs/ip_vs_dh.c, include/linux/hash.h.
 */
export const dh: Bind = ({ items }, options) => {
  const buckets = new HashBuckets(options.tableBits)
  const deal = (): void => buckets.deal(items, () => 1)
  deal()
  return {
    pick({ destination }) {
      const owner = buckets.at(hash32(foldToInt(destination), buckets.bits))
      return owner !== undefined && isUsable(owner) ? owner : undefined
    },
    added: deal,
    removed: deal,
  }
}

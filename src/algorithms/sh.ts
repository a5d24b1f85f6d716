import { foldToInt, hash32 } from './hash.ts'
import { HashBuckets } from './hash-buckets.ts'
import type { Bind } from './scheduler.ts'
import { isUsable, type Server } from './server.ts'

/**
 * Source hashing: a bucket per hash of the client's address, with the flag `sh-port` of its port too. O(1).
 *
 *     hash = (client + port) × 0x61C88647 mod 2^32 >> 24; without sh-port the port is 0
 *
 * Servers take max(1, weight) consecutive buckets each, in list order, round after round; so a quiesced server still owns
 * some. What hits the bucket of a quiesced or overloaded server finds nobody, or with the flag `sh-fallback` tries the
 * buckets 2 × hash, 2 × hash + 1, … of the whole table: the kernel adds the hash twice. Dealt out anew after every add,
 * remove and update. Source: net/netfilter/ipvs/ip_vs_sh.c, include/linux/hash.h.
 */
export const sh: Bind = ({ items }, options) => {
  const buckets = new HashBuckets(options.tableBits)
  const withPort = options.flags?.includes('sh-port') ?? false
  const fallback = options.flags?.includes('sh-fallback') ?? false
  const deal = (): void => buckets.deal(items, ({ weight }) => weight)
  deal()

  const another = (hash: number): Server | undefined => {
    const mask = buckets.size - 1
    for (let k = 0; k < buckets.size; k++) {
      const owner = buckets.at((2 * hash + k) & mask)
      if (owner === undefined) return undefined
      if (isUsable(owner)) return owner
    }
    return undefined
  }
  return {
    pick({ client, clientPort }) {
      const hash = hash32((withPort ? clientPort : 0) + foldToInt(client), buckets.bits)
      const owner = buckets.at(hash)
      if (owner === undefined || isUsable(owner)) return owner
      return fallback ? another(hash) : undefined
    },
    added: deal,
    removed: deal,
    updated: deal,
  }
}

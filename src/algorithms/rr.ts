import type { Bind } from './scheduler.ts'

/**
 * Round robin: the next usable server after the last one picked, around the list. Weights count only as 0 or not. O(1)
 * while servers are usable, O(n) at worst.
 *
 * A quiesced server keeps the cursor; when the server at the cursor is removed, its predecessor gets it. What is added
 * at the head has its turn after the wrap. Source: net/netfilter/ipvs/ip_vs_rr.c.
 */
export const rr: Bind = (servers) => {
  /** Position of the last pick; `head` is before the first. */
  let cursor = head
  return {
    pick() {
      const { items } = servers
      let next = servers.firstUsable(cursor + 1, items.length)
      if (next < 0) next = servers.firstUsable(0, cursor + 1)
      if (next < 0) return undefined
      cursor = next
      return items[next]
    },
    added() {
      if (cursor !== head) cursor++
    },
    removed(index) {
      if (index <= cursor) cursor--
    },
  }
}

const head = -1

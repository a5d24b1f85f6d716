import { overhead, productExceeds } from './cost.ts'
import { isUsable, type Server } from './server.ts'
import type { ServerList } from './server-list.ts'

/** The servers of one destination address in lblcr (struct ip_vs_dest_set in ip_vs_lblcr.c). Removed servers may be among them. */
export class ReplicaSet {
  /** Seconds, by the scheduler's clock. */
  lastChange: number
  /** What joined last comes first. */
  readonly #members: Server[]

  constructor(first: Server, now: number) {
    this.#members = [first]
    this.lastChange = now
  }

  get size(): number {
    return this.#members.length
  }

  /** Puts a server to the front if it is not in the set. */
  add(server: Server, now: number): void {
    if (this.#members.includes(server)) return
    this.#members.unshift(server)
    this.lastChange = now
  }

  /** The member with the least overhead per weight among those that may get connections (ip_vs_dest_set_min). */
  least(servers: ServerList, active: number): Server | undefined {
    let least: Server | undefined
    let leastOverhead = 0
    for (let i = 0; i < this.#members.length; i++) {
      const server = this.#members[i]
      if (server === undefined || !isUsable(server) || !servers.has(server)) continue
      const load = overhead(server, active)
      if (least === undefined || productExceeds(leastOverhead, server.weight, load, least.weight)) {
        least = server
        leastOverhead = load
      }
    }
    return least
  }

  /** Drops the member with the most overhead per weight among those of a weight above 0 (ip_vs_dest_set_max). */
  dropMost(active: number, now: number): void {
    let most = -1
    for (let i = 0; i < this.#members.length; i++) {
      const server = this.#members[i]
      if (server === undefined || server.weight <= 0) continue
      const known = this.#members[most]
      if (
        known === undefined ||
        productExceeds(overhead(server, active), known.weight, overhead(known, active), server.weight)
      )
        most = i
    }
    if (most < 0) return
    this.#members.splice(most, 1)
    this.lastChange = now
  }
}

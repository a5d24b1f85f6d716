import type { IP } from '../../../model/ip.ts'
import type { Endpoint } from './endpoint.ts'

interface Memory {
  endpoint: Endpoint
  /** By the pool's clock, in milliseconds. */
  until: number
}

/** Which endpoint a client had last (ClientIP affinity). Holds `limit` clients; the one unseen for longest makes room. */
export class AffinityTable {
  /** In the order in which clients were seen. */
  readonly #memories = new Map<IP, Memory>()
  readonly #limit: number
  readonly #timeoutMs: number

  constructor(timeoutMs: number, limit: number) {
    this.#timeoutMs = timeoutMs
    this.#limit = limit
  }

  get size(): number {
    return this.#memories.size
  }

  /** undefined: unknown, or not seen within the timeout. */
  get(client: IP, now: number): Endpoint | undefined {
    const memory = this.#memories.get(client)
    return memory === undefined || now >= memory.until ? undefined : memory.endpoint
  }

  /** The client has a new connection to this endpoint. */
  put(client: IP, endpoint: Endpoint, now: number): void {
    const memory = this.#memories.get(client)
    this.#memories.delete(client)
    if (memory === undefined) {
      if (this.#memories.size >= this.#limit) this.#dropOldest()
      this.#memories.set(client, { endpoint, until: now + this.#timeoutMs })
      return
    }
    memory.endpoint = endpoint
    memory.until = now + this.#timeoutMs
    this.#memories.set(client, memory)
  }

  /** Drops who has timed out. All have the same timeout, so they are the first in the map. */
  expire(now: number): void {
    for (const [client, { until }] of this.#memories) {
      if (now < until) return
      this.#memories.delete(client)
    }
  }

  #dropOldest(): void {
    for (const client of this.#memories.keys()) {
      this.#memories.delete(client)
      return
    }
  }
}

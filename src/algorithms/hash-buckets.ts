import { SchedulerError } from './scheduler-error.ts'
import type { Server } from './server.ts'

/** The tables of sh and dh: a power of two of buckets, each of which leads to a server. */
export class HashBuckets {
  /** The size of the table as a power of two. */
  readonly bits: number
  readonly #owners: (Server | undefined)[]

  /** `bits`: 4 to 20, as the kernel's configuration has it. @throws SchedulerError `out-of-range` */
  constructor(bits = 8) {
    if (!Number.isInteger(bits) || bits < 4 || bits > 20)
      throw new SchedulerError('out-of-range', 'table bits', `${bits} is no whole number from 4 to 20`)
    this.bits = bits
    this.#owners = new Array<Server | undefined>(2 ** bits).fill(undefined)
  }

  get size(): number {
    return this.#owners.length
  }

  at(bucket: number): Server | undefined {
    return this.#owners[bucket]
  }

  /** Deals the buckets out, round after round in list order; each server takes `share` of them at a time, at least one. */
  deal(servers: readonly Server[], share: (server: Server) => number): void {
    let turn = 0
    let taken = 0
    for (let bucket = 0; bucket < this.#owners.length; bucket++) {
      const server = servers[turn]
      this.#owners[bucket] = server
      if (server !== undefined && ++taken >= share(server)) {
        turn = (turn + 1) % servers.length
        taken = 0
      }
    }
  }
}

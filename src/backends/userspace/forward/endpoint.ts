import type { Server } from '../../../algorithms/server.ts'
import type { Target } from '../../../model/desired.ts'
import type { IP } from '../../../model/ip.ts'
import type { Port } from '../../../model/port.ts'
import type { Counters } from './counters.ts'

/** The time as all endpoints of a pool see it, set once per pick. */
export interface PoolClock {
  /** Milliseconds. */
  now: number
}

/** An endpoint as schedulers see it: its counters are those of all threads, and being ejected looks to them like overload. */
export class Endpoint implements Server {
  readonly ip: IP
  readonly port: Port
  readonly counters: Counters
  weight: number
  lastWeight: number
  upperThreshold = 0
  lowerThreshold = 0
  /** This pick must not give it: it has just been tried for the same connection. */
  avoided = false
  /** When it ceased to be a target, by the pool's clock. */
  removedAt: number | undefined = undefined
  readonly #clock: PoolClock

  constructor(target: Target, counters: Counters, clock: PoolClock) {
    this.ip = target.ip
    this.port = target.port
    this.weight = target.weight
    this.lastWeight = target.weight
    this.counters = counters
    this.#clock = clock
  }

  get active(): number {
    return this.counters.active
  }

  get inactive(): number {
    return this.counters.inactive
  }

  get overloaded(): boolean {
    return this.avoided || this.ejected
  }

  get ejected(): boolean {
    return this.counters.ejectedUntil > this.#clock.now
  }

  /** One of the targets. */
  get current(): boolean {
    return this.removedAt === undefined
  }

  /** Connections or sessions, in any state. */
  get busy(): boolean {
    return this.counters.active + this.counters.inactive > 0
  }
}

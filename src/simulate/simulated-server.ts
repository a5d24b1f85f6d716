import { createServer, type Server, setThresholds } from '../algorithms/index.ts'
import { Histogram } from './histogram.ts'
import { Ring } from './ring.ts'
import type { ServerPlan } from './scenario.ts'
import { type Demand, demandOf } from './service-time.ts'

/** Seconds; about a picosecond. */
export const shortest = 2 ** -40

/** A server with its queue, and what is measured of it. LVS sees of it `server` only. */
export class SimulatedServer {
  readonly index: number
  readonly plan: ServerPlan
  readonly server: Server
  readonly demand: Demand
  /** Arrival time and demanded seconds of those who wait. */
  readonly queue = new Ring()
  alive = true
  /** In the list of the service. */
  listed = false
  /** Goes up when it dies, so that what was to end later is known as cut. */
  life = 0
  slowness = 1
  busy = 0
  /** Connections at it, waiting ones included. */
  load = 0

  connections = 0
  served = 0
  refused = 0
  failed = 0
  cut = 0
  peak = 0
  /** What it would have got by weight. */
  fair = 0
  /** How long it had each load. */
  readonly loads = new Histogram(1)
  /** Seconds of work that could be done at once, added up. */
  busySeconds = 0
  #since = 0

  constructor(index: number, plan: ServerPlan) {
    this.index = index
    this.plan = plan
    this.demand = demandOf(plan.serviceTime)
    this.server = createServer({ ip: plan.ip, port: plan.port, weight: plan.weight })
    setThresholds(this.server, plan.upperThreshold, plan.lowerThreshold)
  }

  /** May be picked, and would answer. */
  get lives(): boolean {
    return this.alive && this.listed && this.server.weight > 0
  }

  /** Accounts for the time since the last call; comes before every change of `load` or `busy`. */
  settle(now: number): void {
    const elapsed = now - this.#since
    if (elapsed <= 0) return
    this.loads.add(this.load, elapsed)
    this.busySeconds += this.busy * elapsed
    this.#since = now
  }

  /** From here on nothing is accounted for. */
  finish(now: number): void {
    this.settle(now)
    this.#since = Number.POSITIVE_INFINITY
  }

  /** Who is at it loses the connection. */
  die(): void {
    this.alive = false
    this.life++
    this.cut += this.load
    this.load = 0
    this.busy = 0
    this.queue.clear()
  }
}

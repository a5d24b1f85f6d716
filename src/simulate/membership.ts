import type { Scheduler } from '../algorithms/index.ts'
import { Movement } from './movement.ts'
import { eventLabel, type PlannedEvent } from './scenario.ts'
import type { SimulatedServer } from './simulated-server.ts'

/** The list of the service: who is in it, with what weight, what weights promise, and what changes of it do to clients. */
export class Membership {
  readonly movement: Movement
  readonly #servers: readonly SimulatedServer[]
  readonly #scheduler: Scheduler
  readonly #plans: readonly { readonly name: string }[]
  /** Arrivals whose share has been added to `fair`. */
  #accounted = 0

  constructor(servers: readonly SimulatedServer[], scheduler: Scheduler, clients: number) {
    this.movement = new Movement(clients)
    this.#servers = servers
    this.#scheduler = scheduler
    this.#plans = servers.map(({ plan }) => plan)
    const bound = new Set(scheduler.servers)
    for (const one of servers) {
      if (bound.has(one.server)) one.listed = true
      else if (!one.plan.absent) this.#list(one)
    }
  }

  /** `now` in seconds, `arrived` connections so far. */
  join(one: SimulatedServer, event: PlannedEvent, now: number, arrived: number): void {
    if (one.listed) return
    this.#changed(event, now, arrived)
    this.#list(one)
  }

  leave(one: SimulatedServer, event: PlannedEvent, now: number, arrived: number): void {
    if (!one.listed) return
    this.#changed(event, now, arrived)
    one.listed = false
    this.#scheduler.remove(one.server)
  }

  weigh(one: SimulatedServer, weight: number, event: PlannedEvent, now: number, arrived: number): void {
    this.#changed(event, now, arrived)
    one.server.weight = weight
    this.#scheduler.update(one.server)
  }

  /** What the weights have promised since the last change. */
  accountFair(arrived: number): void {
    const arrivals = arrived - this.#accounted
    this.#accounted = arrived
    const listed = this.#servers.filter((one) => one.listed)
    const total = listed.reduce((sum, { server }) => sum + server.weight, 0)
    if (total === 0) return
    for (const one of listed) one.fair += (arrivals * one.server.weight) / total
  }

  #list(one: SimulatedServer): void {
    one.listed = true
    this.#scheduler.add(one.server)
  }

  #changed(event: PlannedEvent, now: number, arrived: number): void {
    this.accountFair(arrived)
    this.movement.change(eventLabel(event, this.#plans), now)
  }
}

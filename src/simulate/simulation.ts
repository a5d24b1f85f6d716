import {
  closeConnection,
  createScheduler,
  deactivate,
  openConnection,
  type Scheduler,
  type Server,
  tickSeconds,
} from '../algorithms/index.ts'
import { assertNever } from '../model/assert-never.ts'
import { expectedSpan } from './arrivals.ts'
import { Departures } from './departures.ts'
import { EventScript } from './event-script.ts'
import { Histogram } from './histogram.ts'
import { LoadSamples } from './load-samples.ts'
import { Membership } from './membership.ts'
import { RandomStream } from './random-stream.ts'
import { delaysOf, type SchedulerResult } from './result.ts'
import { Ring } from './ring.ts'
import type { PlannedEvent, Scenario, SchedulerPlan } from './scenario.ts'
import { SimulatedServer, shortest } from './simulated-server.ts'
import { Slots } from './slots.ts'
import { countsOf, summary } from './summary.ts'
import { type Crowds, Traffic } from './traffic.ts'

/** A connection that is refused or cut is in state CLOSE of TCP for ten seconds (tcp_timeouts in ip_vs_proto_tcp.c). */
const closeSeconds = 10

/** Arrivals between two reports of progress. */
const progressStep = 8192

/** Tells how many connections have arrived so far. */
export type Progress = (connections: number) => void

/**
 * One scheduler, driven as the kernel drives it: servers are added one by one in the order of the scenario; a TCP connection
 * counts as active from its arrival until it ends, then as inactive for as long as LVS remembers it (120 s in TIME_WAIT); one
 * of UDP is inactive all the time; the timer of lblc and lblcr ticks every 60 s. Servers behind it serve `capacity`
 * connections at once, first come, first served, of which LVS knows nothing.
 *
 * Same scenario, same result. No object is made for a connection: what is known of it lies in typed arrays.
 */
export class Simulation {
  readonly #scenario: Scenario
  readonly #plan: SchedulerPlan
  readonly #traffic: Traffic
  readonly #servers: readonly SimulatedServer[]
  readonly #byServer: ReadonlyMap<Server, SimulatedServer>
  readonly #scheduler: Scheduler
  readonly #script: EventScript
  readonly #members: Membership
  readonly #samples: LoadSamples
  readonly #tcp: boolean
  readonly #departures = new Departures()
  readonly #slots = new Slots()
  /** When which server forgets a connection that has ended, or failed: both in the order in which they come. */
  readonly #ended = new Ring(1024)
  readonly #aborted = new Ring()
  readonly #queueing = new Histogram(shortest)
  readonly #response = new Histogram(shortest)
  #now = 0
  #nextTick = tickSeconds
  #unscheduled = 0
  #arrived = 0

  /** @throws SchedulerError when the library refuses the servers, as mh refuses more than its table has slots */
  constructor(scenario: Scenario, plan: SchedulerPlan, crowds: Crowds) {
    this.#scenario = scenario
    this.#plan = plan
    this.#tcp = scenario.protocol === 'TCP'
    this.#traffic = new Traffic(scenario, crowds)
    this.#servers = scenario.servers.map((server, i) => new SimulatedServer(i, server))
    this.#byServer = new Map(this.#servers.map((one) => [one.server, one]))
    this.#samples = new LoadSamples(expectedSpan(scenario.arrivals, scenario.connections), scenario.servers.length)
    this.#script = new EventScript(scenario)
    const choices = new RandomStream(scenario.seed, schedulerPurpose)
    this.#scheduler = createScheduler(plan.name, {
      servers: boundAtOnce(plan, this.#servers),
      flags: plan.flags,
      random: (below) => choices.below(below),
      now: () => this.#now,
    })
    this.#members = new Membership(this.#servers, this.#scheduler, scenario.clients.number)
  }

  /** @throws SimulateError `order` */
  run(progress: Progress = () => {}): SchedulerResult {
    const { connections } = this.#scenario
    const traffic = this.#traffic
    for (let n = 1; n <= connections; n++) {
      traffic.next()
      this.#advance(traffic.time)
      if (this.#script.dueBefore(n)) this.#eventsBefore(n, traffic.time)
      this.#now = traffic.time
      this.#arrive()
      this.#arrived = n
      if (n % progressStep === 0) progress(n)
    }
    this.#members.accountFair(connections)
    for (const one of this.#servers) one.finish(this.#now)
    const duration = this.#now
    this.#serveRest()
    return {
      ...summary(this.#servers, this.#members.movement, this.#samples, duration),
      scheduler: this.#plan.name,
      flags: this.#plan.flags,
      connections: countsOf(this.#servers, connections, this.#unscheduled),
      queueing: delaysOf(this.#queueing),
      response: delaysOf(this.#response),
      eventsReached: this.#script.taken,
    }
  }

  #arrive(): void {
    const traffic = this.#traffic
    const picked = this.#scheduler.pick(traffic)
    const one = picked === undefined ? undefined : this.#byServer.get(picked)
    if (one === undefined) {
      this.#unscheduled++
      return
    }
    this.#members.movement.picked(traffic.number, one, this.#servers)
    one.connections++
    openConnection(one.server, this.#tcp ? 'active' : 'inactive')
    const { capacity, queue } = one.plan
    if (!one.alive) {
      one.failed++
      this.#abort(one)
    } else if (one.busy < capacity) {
      one.settle(this.#now)
      one.load++
      this.#serve(one, this.#now, one.demand(traffic.u, traffic.v))
    } else if (one.queue.size < queue) {
      one.settle(this.#now)
      one.load++
      one.queue.push(this.#now, one.demand(traffic.u, traffic.v))
    } else {
      one.refused++
      this.#abort(one)
    }
    if (one.load > one.peak) one.peak = one.load
  }

  #serve(one: SimulatedServer, arrival: number, demand: number): void {
    one.busy++
    this.#queueing.add(this.#now - arrival)
    this.#departures.push(this.#now + demand * one.slowness, this.#slots.take(arrival, one.index, one.life))
  }

  #depart(): void {
    const slots = this.#slots
    const slot = this.#departures.pop()
    const one = this.#servers[slots.server[slot] ?? 0]
    const arrival = slots.arrival[slot] ?? 0
    const life = slots.life[slot]
    slots.release(slot)
    if (one === undefined || life !== one.life) return
    one.settle(this.#now)
    one.load--
    one.busy--
    one.served++
    this.#response.add(this.#now - arrival)
    if (this.#tcp) deactivate(one.server)
    this.#ended.push(this.#now + this.#scenario.linger, one.index)
    if (one.queue.size > 0) {
      const { first, second } = one.queue
      one.queue.shift()
      this.#serve(one, first, second)
    }
  }

  /** The connection was refused or cut. */
  #abort({ server, index }: SimulatedServer): void {
    if (this.#tcp) deactivate(server)
    this.#aborted.push(this.#now + (this.#tcp ? closeSeconds : this.#scenario.linger), index)
  }

  #forget(ring: Ring): void {
    const one = this.#servers[ring.second]
    ring.shift()
    if (one !== undefined) closeConnection(one.server, 'inactive')
  }

  /** Lets everything happen that is due until then. */
  #advance(until: number): void {
    for (;;) {
      const departure = this.#departures.first
      const ended = this.#ended.first
      const aborted = this.#aborted.first
      const other = Math.min(this.#script.first, this.#samples.next, this.#nextTick)
      const due = Math.min(departure, ended, aborted, other)
      if (due > until) return
      this.#now = due
      if (due === departure) this.#depart()
      else if (due === ended) this.#forget(this.#ended)
      else if (due === aborted) this.#forget(this.#aborted)
      else this.#other()
    }
  }

  #other(): void {
    if (this.#now === this.#nextTick) {
      this.#scheduler.tick()
      this.#nextTick += tickSeconds
    } else if (this.#now === this.#samples.next) this.#samples.take(this.#servers)
    else if (this.#now === this.#script.firstRemoval) this.#noticed(this.#script.takeRemoval())
    else this.#happen(this.#script.take(this.#now, this.#arrived + 1))
  }

  #eventsBefore(n: number, now: number): void {
    this.#now = now
    while (this.#script.dueBefore(n)) {
      this.#happen(this.#script.take(now, n))
      this.#advance(now)
    }
  }

  #happen(event: PlannedEvent): void {
    const one = this.#servers[event.server]
    if (one === undefined) return
    const { action } = event
    switch (action.kind) {
      case 'die':
        this.#die(one, action.noticedAfter, event)
        break
      case 'leave':
        this.#members.leave(one, event, this.#now, this.#arrived)
        break
      case 'join':
        one.alive = true
        this.#script.cancelRemoval(event.server)
        this.#members.join(one, event, this.#now, this.#arrived)
        break
      case 'weight':
        this.#members.weigh(one, action.weight, event, this.#now, this.#arrived)
        break
      case 'slow':
        one.slowness = action.factor
        break
      default:
        assertNever(action, 'action')
    }
  }

  #die(one: SimulatedServer, noticedAfter: number, event: PlannedEvent): void {
    one.settle(this.#now)
    for (let left = one.load; left > 0; left--) this.#abort(one)
    one.die()
    if (noticedAfter > 0) this.#script.removeLater(this.#now + noticedAfter, event)
    else this.#members.leave(one, event, this.#now, this.#arrived)
  }

  #noticed(event: PlannedEvent): void {
    const one = this.#servers[event.server]
    if (one !== undefined) this.#members.leave(one, event, this.#now, this.#arrived)
  }

  /** Nobody comes any more: who is there is served to the end. */
  #serveRest(): void {
    while (this.#departures.size > 0) {
      this.#now = this.#departures.first
      this.#depart()
    }
  }
}

const schedulerPurpose = 6

/**
 * mh makes its table anew with every server that is added, which takes long with thousands of them. Bound to all of them at
 * once it ends with the same table, and says so when there are too many. For wrr it is not the same.
 */
const boundAtOnce = ({ name }: SchedulerPlan, servers: readonly SimulatedServer[]): readonly Server[] =>
  name === 'mh'
    ? servers
        .filter(({ plan }) => !plan.absent)
        .map(({ server }) => server)
        .reverse()
    : []

import { foldAddress, hash32 } from '../../../algorithms/hash.ts'
import { maglevSizes } from '../../../algorithms/mh-table.ts'
import type { Packet } from '../../../algorithms/packet.ts'
import type { RandomBelow } from '../../../algorithms/random-source.ts'
import { createScheduler } from '../../../algorithms/registry.ts'
import type { Scheduler } from '../../../algorithms/scheduler.ts'
import { isUsable } from '../../../algorithms/server.ts'
import type { Target } from '../../../model/desired.ts'
import type { IP } from '../../../model/ip.ts'
import type { Scheduling } from '../../../model/scheduling.ts'
import { AffinityTable } from './affinity.ts'
import type { Counters } from './counters.ts'
import { Endpoint, type PoolClock } from './endpoint.ts'

export interface PoolOptions {
  /** Milliseconds of a clock that never goes back, the same in all threads. */
  readonly now: () => number
  readonly random: RandomBelow
  readonly ejectAfter: number
  readonly ejectMs: number
  readonly maxEjectMs: number
  /** An ejected endpoint whose time is over gets one connection; others stay away for so long, or until that one has succeeded. */
  readonly probeMs: number
  readonly maxAffinity: number
  readonly onEjected: (endpoint: Endpoint, forMs: number) => void
  readonly onRecovered: (endpoint: Endpoint) => void
}

/** What pools need to know of a virtual server. */
export interface PoolSpec {
  readonly scheduling: Scheduling
  readonly affinitySeconds: number | undefined
  readonly targets: readonly Placed[]
}

/** A target and its counters. */
export interface Placed {
  readonly target: Target
  readonly counters: Counters
}

/** An endpoint that was picked, and how it stood then: see {@link Pool.failed}. */
export interface Choice {
  readonly endpoint: Endpoint
  readonly level: number
}

const keyOf = ({ ip, port }: { readonly ip: IP; readonly port: number }): string => `${ip} ${port}`

const clientHashing: ReadonlySet<string> = new Set(['sh', 'mh'])
/**
 * Those that lose something when they are bound anew. All others are, whenever endpoints come or go: LVS puts what is new at
 * the head of its list, and tables that follow from its history would differ from node to node.
 */
const remembering: ReadonlySet<string> = new Set(['rr', 'wrr', 'lblc', 'lblcr'])
const byDestination: ReadonlySet<string> = new Set(['dh', 'lblc', 'lblcr'])

/**
 * The endpoints of one virtual server in one thread: a scheduler chooses, affinity and the recent failures of endpoints have
 * a say before and after. Pure: clock and random numbers are given. Counts nothing; that is for those who connect.
 */
export class Pool {
  readonly #options: PoolOptions
  readonly #clock: PoolClock = { now: 0 }
  readonly #current = new Map<string, Endpoint>()
  /** No longer targets, but still with connections. */
  readonly #draining = new Map<string, Endpoint>()
  /** Keys of the targets as last given. */
  #order: string
  #scheduling: Scheduling
  #scheduler: Scheduler
  #affinity: AffinityTable | undefined
  #affinitySeconds: number | undefined

  constructor(spec: PoolSpec, options: PoolOptions) {
    this.#options = options
    this.#scheduling = spec.scheduling
    for (const placed of spec.targets) this.#place(placed)
    this.#order = spec.targets.map(({ target }) => keyOf(target)).join()
    this.#scheduler = this.#bind()
    this.#remember(spec.affinitySeconds)
  }

  /** Picks depend on the client's address: it must be in the packet. */
  get needsClient(): boolean {
    return this.#affinity !== undefined || clientHashing.has(this.#scheduler.name)
  }

  /** Picks depend on the address that the client asked for. */
  get needsDestination(): boolean {
    return byDestination.has(this.#scheduler.name)
  }

  get endpoints(): readonly Endpoint[] {
    return [...this.#current.values()]
  }

  get draining(): readonly Endpoint[] {
    return [...this.#draining.values()]
  }

  /**
   * What is no longer a target gets nothing new. A target that comes back while it drains is the same endpoint again, as LVS
   * takes servers out of its trash.
   */
  update(spec: PoolSpec): void {
    this.#clock.now = this.#options.now()
    const { scheduler, flags } = this.#scheduling
    const rebind = spec.scheduling.scheduler !== scheduler || spec.scheduling.flags.join() !== flags.join()
    this.#scheduling = spec.scheduling
    const wanted = new Set(spec.targets.map(({ target }) => keyOf(target)))
    for (const [key, endpoint] of this.#current) if (!wanted.has(key)) this.#displace(key, endpoint)
    for (const placed of spec.targets) {
      const known = this.#current.get(keyOf(placed.target))
      if (known === undefined) this.#scheduler.add(this.#place(placed))
      else if (known.weight !== placed.target.weight) {
        known.weight = placed.target.weight
        this.#scheduler.update(known)
      }
    }
    const moved = this.#reorder(spec.targets)
    const { name } = this.#scheduler
    if (rebind || (moved && !remembering.has(name)) || (name === 'mh' && this.#current.size > defaultMaglevSize))
      this.#scheduler = this.#bind()
    if (spec.affinitySeconds !== this.#affinitySeconds) this.#remember(spec.affinitySeconds)
  }

  /** Nobody gets anything new. */
  quiesce(): void {
    this.update({ scheduling: this.#scheduling, affinitySeconds: undefined, targets: [] })
  }

  /**
   * Who gets a connection, or undefined: there is nobody, or all were `tried` for it already. When the scheduler has nobody to
   * offer although someone could be tried (the owner of a hash bucket is ejected, or all are), others stand in, the same one
   * for the same client where the scheduler hashes clients.
   */
  pick(packet: Packet, tried: readonly Endpoint[]): Choice | undefined {
    const now = this.#options.now()
    this.#clock.now = now
    const endpoint = this.#remembered(packet.client, tried, now) ?? this.#scheduled(packet, tried)
    if (endpoint === undefined) return undefined
    this.#affinity?.put(packet.client, endpoint, now)
    const { counters } = endpoint
    if (counters.level > 0) counters.ejectedUntil = now + this.#options.probeMs
    return { endpoint, level: counters.level }
  }

  /** It took a connection, or answered. */
  succeeded({ endpoint: { counters }, endpoint }: Choice): void {
    if (counters.failures === 0 && counters.level === 0) return
    const wasOut = counters.level > 0
    counters.clearFailures()
    if (wasOut) this.#options.onRecovered(endpoint)
  }

  /** It refused, or did not answer in time. The last one that can be used is never ejected. */
  failed({ endpoint, level }: Choice): void {
    const { counters } = endpoint
    const now = this.#options.now()
    this.#clock.now = now
    counters.countFailed()
    const failures = counters.addFailure()
    if (level === 0 && failures < this.#options.ejectAfter) return
    if (!endpoint.current || !this.#othersThan(endpoint)) return
    // Attempts that were under way when it was ejected say nothing new.
    if (!counters.raiseLevel(level)) return
    const forMs = Math.min(this.#options.ejectMs * 2 ** level, this.#options.maxEjectMs)
    counters.ejectedUntil = now + forMs
    this.#options.onEjected(endpoint, forMs)
  }

  /** Forgets clients whose time is over and endpoints whose connections have ended. Call it every few seconds. */
  sweep(): void {
    this.#affinity?.expire(this.#options.now())
    for (const [key, endpoint] of this.#draining) if (!endpoint.busy) this.#draining.delete(key)
  }

  /** The minute's timer of lblc and lblcr. */
  tick(): void {
    this.#scheduler.tick()
  }

  #remembered(client: IP, tried: readonly Endpoint[], now: number): Endpoint | undefined {
    const endpoint = this.#affinity?.get(client, now)
    if (endpoint === undefined || !endpoint.current || tried.includes(endpoint)) return undefined
    return isUsable(endpoint) ? endpoint : undefined
  }

  #scheduled(packet: Packet, tried: readonly Endpoint[]): Endpoint | undefined {
    for (const endpoint of tried) endpoint.avoided = true
    const offered = this.#scheduler.pick(packet)
    // lblc may offer one that is overloaded, or that it remembers from before.
    const chosen =
      offered instanceof Endpoint && offered.current && isUsable(offered) ? offered : this.#standIn(packet.client)
    for (const endpoint of tried) endpoint.avoided = false
    return chosen
  }

  #standIn(client: IP): Endpoint | undefined {
    const list = this.endpoints
    if (list.length === 0) return undefined
    const byClient = clientHashing.has(this.#scheduler.name)
    const start = byClient ? hash32(foldAddress(client), 16) % list.length : this.#options.random(list.length)
    const order = [...list.slice(start), ...list.slice(0, start)]
    return order.find(isUsable) ?? order.find(({ weight, avoided }) => weight > 0 && !avoided)
  }

  #othersThan(endpoint: Endpoint): boolean {
    for (const other of this.#current.values())
      if (other !== endpoint && other.weight > 0 && !other.ejected) return true
    return false
  }

  #place({ target, counters }: Placed): Endpoint {
    const key = keyOf(target)
    const drained = this.#draining.get(key)
    this.#draining.delete(key)
    const { ref } = counters
    const same = drained?.counters.ref.block === ref.block && drained.counters.ref.index === ref.index
    const endpoint = same && drained !== undefined ? drained : new Endpoint(target, counters, this.#clock)
    endpoint.removedAt = undefined
    endpoint.weight = target.weight
    this.#current.set(key, endpoint)
    return endpoint
  }

  /** Puts the current ones in the order of the targets; false: they are in that order, and nobody is new among them. */
  #reorder(targets: readonly Placed[]): boolean {
    const before = this.#order
    this.#order = targets.map(({ target }) => keyOf(target)).join()
    if (this.#order === before) return false
    for (const { target } of targets) {
      const key = keyOf(target)
      const endpoint = this.#current.get(key)
      if (endpoint === undefined) continue
      this.#current.delete(key)
      this.#current.set(key, endpoint)
    }
    return true
  }

  #displace(key: string, endpoint: Endpoint): void {
    this.#current.delete(key)
    this.#scheduler.remove(endpoint)
    endpoint.removedAt = this.#clock.now
    if (endpoint.busy) this.#draining.set(key, endpoint)
  }

  #bind(): Scheduler {
    const { now, random } = this.#options
    const servers = this.endpoints
    const size = maglevSizes.find((candidate) => candidate >= Math.max(defaultMaglevSize, servers.length))
    return createScheduler(this.#scheduling.scheduler, {
      servers,
      flags: this.#scheduling.flags,
      random,
      now: () => now() / 1000,
      ...(size === undefined ? {} : { maglevSize: size }),
    })
  }

  #remember(seconds: number | undefined): void {
    this.#affinitySeconds = seconds
    this.#affinity = seconds === undefined ? undefined : new AffinityTable(seconds * 1000, this.#options.maxAffinity)
  }
}

/** CONFIG_IP_VS_MH_TAB_INDEX 12. */
const defaultMaglevSize = 4093

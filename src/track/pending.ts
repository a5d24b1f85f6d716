import type { ServiceKey } from '../model/names.ts'

/** What must be computed and written again. */
export interface Dirty {
  /** Services that changed, came or went, or won or lost an address. */
  readonly services: ReadonlySet<ServiceKey>
  /** Those of `services` whose endpoints changed. */
  readonly endpoints: ReadonlySet<ServiceKey>
  /** The Node or the ServiceCIDRs changed: compute the host state again. */
  readonly hostChanged: boolean
  /** The Node's zone or addresses changed, on which every Service may depend: compute all of them again. */
  readonly allServices: boolean
  /** For the latency of network programming: when the endpoint changes began, milliseconds since the epoch. */
  readonly triggeredAt: ReadonlyMap<ServiceKey, readonly number[]>
}

/** A Service whose writes fail for long must not collect times without end; the oldest say most about latency. */
const maxTriggers = 256

class Batch implements Dirty {
  readonly services = new Set<ServiceKey>()
  readonly endpoints = new Set<ServiceKey>()
  readonly triggeredAt = new Map<ServiceKey, number[]>()
  /** Services whose own object changed: the smaller part of `services`. */
  readonly serviceChanges = new Set<ServiceKey>()
  /** Services that lost a slice: times from before that are void, also those of a batch that is rolled back. */
  readonly untimed = new Set<ServiceKey>()
  endpointChanges = 0
  hostChanged = false
  allServices = false

  get empty(): boolean {
    return this.services.size === 0 && !this.hostChanged && !this.allServices
  }

  addTriggers(service: ServiceKey, times: readonly number[]): void {
    const list = this.triggeredAt.get(service) ?? []
    for (const time of times) if (list.length < maxTriggers) list.push(time)
    this.triggeredAt.set(service, list)
  }
}

/**
 * The dirty set. `take` hands out what has gathered; it is lost only by `commit`. `rollback` puts it back under what
 * has come since, so a failed write costs nothing but time.
 */
export class Pending {
  #gathering = new Batch()
  #taken: Batch | undefined

  /** Service objects that changed and were not handed out yet (or were put back). */
  get serviceChanges(): number {
    return this.#gathering.serviceChanges.size
  }

  /** Changes of slices not handed out yet (or put back); several of one slice count each. */
  get endpointChanges(): number {
    return this.#gathering.endpointChanges
  }

  service(key: ServiceKey): void {
    this.#gathering.services.add(key)
    this.#gathering.serviceChanges.add(key)
  }

  /** The Service's object did not change, but what it gets did. */
  ownership(key: ServiceKey): void {
    this.#gathering.services.add(key)
  }

  endpoints(key: ServiceKey): void {
    this.#gathering.services.add(key)
    this.#gathering.endpoints.add(key)
  }

  endpointChange(): void {
    this.#gathering.endpointChanges++
  }

  trigger(key: ServiceKey, at: number): void {
    this.#gathering.addTriggers(key, [at])
  }

  dropTriggers(key: ServiceKey): void {
    this.#gathering.triggeredAt.delete(key)
    this.#gathering.untimed.add(key)
  }

  host(allServices: boolean): void {
    this.#gathering.hostChanged = true
    if (allServices) this.#gathering.allServices = true
  }

  /** undefined = nothing to do. One batch can be out at a time. */
  take(): Dirty | undefined {
    if (this.#taken !== undefined) throw new Error('take: the last batch was neither committed nor rolled back')
    if (this.#gathering.empty) return undefined
    this.#taken = this.#gathering
    this.#gathering = new Batch()
    return this.#taken
  }

  commit(): void {
    if (this.#taken === undefined) throw new Error('commit: no batch was taken')
    this.#taken = undefined
  }

  rollback(): void {
    const older = this.#taken
    if (older === undefined) throw new Error('rollback: no batch was taken')
    this.#taken = undefined
    const newer = this.#gathering
    this.#gathering = older
    for (const key of newer.services) older.services.add(key)
    for (const key of newer.endpoints) older.endpoints.add(key)
    for (const key of newer.serviceChanges) older.serviceChanges.add(key)
    for (const key of newer.untimed) {
      older.triggeredAt.delete(key)
      older.untimed.add(key)
    }
    for (const [key, times] of newer.triggeredAt) older.addTriggers(key, times)
    older.endpointChanges += newer.endpointChanges
    older.hostChanged ||= newer.hostChanged
    older.allServices ||= newer.allServices
  }
}

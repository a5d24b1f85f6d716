import type { ServiceState } from '../model/desired.ts'
import type { Family } from '../model/ip.ts'
import type { ServiceKey } from '../model/names.ts'
import type { HealthCheck, SyncObserver } from './events.ts'
import type { FamilySync } from './family.ts'
import type { TrackedDesired } from './tracked-desired.ts'

interface Locals {
  internal: number
  external: number
}

const isLocalMissing = ({ local, hasEndpoints }: ServiceState): boolean => hasEndpoints && local.length === 0

const localsOf = (states: readonly ServiceState[]): Locals => {
  const count: Locals = { internal: 0, external: 0 }
  for (const state of states) {
    if (!isLocalMissing(state)) continue
    if (state.internalPolicy === 'Local') count.internal++
    if (state.externalPolicy === 'Local') count.external++
  }
  return count
}

/**
 * What observers want to know of Services beyond the rules: health check ports, and service ports whose Local policy
 * finds nobody here. Follows the applied states of one family; the cost of a change follows the change.
 */
export class ServiceFacts {
  readonly #sync: FamilySync
  readonly #desired: TrackedDesired
  readonly #observer: SyncObserver
  readonly #locals = new Map<ServiceKey, Locals>()
  readonly #health = new Map<ServiceKey, HealthCheck>()
  readonly #total: Locals = { internal: 0, external: 0 }

  constructor(sync: FamilySync, desired: TrackedDesired, observer: SyncObserver) {
    this.#sync = sync
    this.#desired = desired
    this.#observer = observer
  }

  /** `changed` undefined = look at everything. */
  update(changed: ReadonlySet<ServiceKey> | undefined): void {
    const family: Family = this.#sync.family
    const keys = changed ?? new Set([...this.#desired.keys(), ...this.#locals.keys(), ...this.#health.keys()])
    const health = new Map<ServiceKey, HealthCheck | undefined>()
    const before = { ...this.#total }
    for (const key of keys) {
      this.#updateLocals(key)
      this.#updateHealth(family, key, health)
    }
    if (health.size > 0) this.#observer.healthChecks({ family, changed: health })
    const { internal, external } = this.#total
    if (changed === undefined || internal !== before.internal || external !== before.external) {
      this.#observer.noLocalEndpoints({ family, internal, external })
    }
  }

  #updateLocals(key: ServiceKey): void {
    const next = localsOf(this.#sync.applied().get(key) ?? [])
    const last = this.#locals.get(key)
    this.#total.internal += next.internal - (last?.internal ?? 0)
    this.#total.external += next.external - (last?.external ?? 0)
    if (next.internal + next.external === 0) this.#locals.delete(key)
    else this.#locals.set(key, next)
  }

  #updateHealth(family: Family, key: ServiceKey, into: Map<ServiceKey, HealthCheck | undefined>): void {
    const next = this.#desired.healthCheck(family, key)
    const last = this.#health.get(key)
    if (next === undefined) {
      if (last === undefined) return
      this.#health.delete(key)
      into.set(key, undefined)
      return
    }
    if (last !== undefined && last.port === next.port && last.localEndpoints === next.localEndpoints) return
    this.#health.set(key, next)
    into.set(key, next)
  }
}

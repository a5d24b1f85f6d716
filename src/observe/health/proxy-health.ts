import type { Family } from '../../model/ip.ts'
import type { SyncEvents, SyncObserver } from '../../sync/events.ts'
import type { Clock } from '../clock.ts'

export interface FamilyHealth {
  /** The last success, or the start of the loop; milliseconds since the epoch. */
  readonly lastUpdated: number
  readonly healthy: boolean
}

export interface HealthReport {
  readonly currentTime: number
  /** The most recent success of any family. */
  readonly lastUpdated: number | undefined
  readonly healthy: boolean
  readonly nodeEligible: boolean
  readonly families: ReadonlyMap<Family, FamilyHealth>
}

/** Since when changes have been waiting, on the monotonic clock. */
interface FamilyState {
  lastUpdated: number | undefined
  /** The oldest change that no sync carries yet. */
  queuedSince: number | undefined
  /** The oldest change that the running sync carries. */
  inFlightSince: number | undefined
  syncing: boolean
}

/**
 * Whether the proxy keeps up: a family is healthy while none of its changes has been waiting for two sync periods.
 * That holds however long the last success is ago, and also before the first one.
 *
 * A change that arrives during a sync keeps its own age; it is not forgotten with the success of that sync.
 */
export class ProxyHealth implements Partial<SyncObserver> {
  readonly #clock: Clock
  readonly #timeoutMs: number
  readonly #families = new Map<Family, FamilyState>()
  #nodeEligible = false

  constructor(clock: Clock, syncPeriodMs: number) {
    this.#clock = clock
    this.#timeoutMs = 2 * syncPeriodMs
  }

  loopStarted({ family, at }: SyncEvents['loopStarted']): void {
    this.#state(family).lastUpdated ??= at
  }

  queued({ family }: SyncEvents['queued']): void {
    this.#state(family).queuedSince ??= this.#clock.monotonic()
  }

  started({ family }: SyncEvents['started']): void {
    const state = this.#state(family)
    state.syncing = true
    state.inFlightSince ??= state.queuedSince
    state.queuedSince = undefined
  }

  applied({ family, at }: SyncEvents['applied']): void {
    const state = this.#state(family)
    if (!state.syncing) state.queuedSince = undefined
    state.syncing = false
    state.inFlightSince = undefined
    state.lastUpdated = at
  }

  failed({ family }: SyncEvents['failed']): void {
    const state = this.#state(family)
    state.syncing = false
    state.queuedSince = state.inFlightSince ?? state.queuedSince
    state.inFlightSince = undefined
  }

  nodeEligible({ eligible, seen }: SyncEvents['nodeEligible']): void {
    this.#nodeEligible = seen && eligible
  }

  /** The proxy's own health; whether the node takes traffic does not matter here. */
  isHealthy(): boolean {
    const now = this.#clock.monotonic()
    for (const state of this.#families.values()) if (this.#isLate(state, now)) return false
    return true
  }

  report(): HealthReport {
    const now = this.#clock.monotonic()
    const families = new Map<Family, FamilyHealth>()
    let latest: number | undefined
    for (const [family, state] of this.#families) {
      if (state.lastUpdated === undefined) continue
      families.set(family, { lastUpdated: state.lastUpdated, healthy: !this.#isLate(state, now) })
      latest = Math.max(latest ?? state.lastUpdated, state.lastUpdated)
    }
    return {
      currentTime: this.#clock.now(),
      lastUpdated: latest,
      healthy: this.isHealthy(),
      nodeEligible: this.#nodeEligible,
      families,
    }
  }

  #isLate(state: FamilyState, now: number): boolean {
    const since = state.inFlightSince ?? state.queuedSince
    return since !== undefined && now - since >= this.#timeoutMs
  }

  #state(family: Family): FamilyState {
    const known = this.#families.get(family)
    if (known !== undefined) return known
    const state = { lastUpdated: undefined, queuedSince: undefined, inFlightSince: undefined, syncing: false }
    this.#families.set(family, state)
    return state
  }
}

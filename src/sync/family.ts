import type { Backend, ServiceChange } from '../backends/backend.ts'
import type { ServiceState } from '../model/desired.ts'
import type { HostState } from '../model/host.ts'
import type { Family } from '../model/ip.ts'
import type { ServiceKey, ServicePortId } from '../model/names.ts'
import type { Clock } from './clock.ts'
import type { DriftReason, StageDurations, SyncKind } from './events.ts'

/** What a family's sync works from. All of it is computed from the tracker; nothing here does I/O. */
export interface DesiredSource {
  host(family: Family): HostState
  /** The virtual servers of one Service; none when it is gone or has no address of this family. */
  states(family: Family, key: ServiceKey): readonly ServiceState[]
  keys(): Iterable<ServiceKey>
}

export interface SyncRequest {
  readonly services: ReadonlySet<ServiceKey>
  readonly hostChanged: boolean
  readonly allServices: boolean
}

export interface SyncOutcome {
  readonly kind: SyncKind
  readonly stages: StageDurations
  readonly added: number
  readonly removed: number
  readonly structure: boolean
  /** Why a full sync was done, when somebody else's write was the reason. */
  readonly drift: DriftReason | undefined
}

/** Why the next sync of a family has to look at the kernel first. */
type FullReason = 'start' | 'failure' | DriftReason

/**
 * One family: what was last applied, and how to get from there to what is wanted. What was applied changes only
 * when an apply has succeeded, so a failure loses nothing.
 */
export class FamilySync {
  readonly family: Family
  readonly #backend: Backend
  readonly #desired: DesiredSource
  readonly #clock: Clock
  #applied = new Map<ServiceKey, readonly ServiceState[]>()
  #host: HostState | undefined
  #full: FullReason | undefined = 'start'

  constructor(backend: Backend, desired: DesiredSource, clock: Clock) {
    this.family = backend.family
    this.#backend = backend
    this.#desired = desired
    this.#clock = clock
  }

  get backend(): Backend {
    return this.#backend
  }

  /** Virtual servers as last applied. */
  applied(): ReadonlyMap<ServiceKey, readonly ServiceState[]> {
    return this.#applied
  }

  /** The next sync compares with the kernel instead of trusting what was applied. */
  distrust(reason: FullReason): void {
    // The first reason says most: a later one is usually its consequence.
    this.#full ??= reason
  }

  get needsFull(): boolean {
    return this.#full !== undefined
  }

  async sync(request: SyncRequest, signal: AbortSignal): Promise<SyncOutcome> {
    const reason = this.#full
    // Cleared first: a reason that comes up while this sync runs is one for the next.
    this.#full = undefined
    try {
      return reason === undefined ? await this.#partial(request, signal) : await this.#fullSync(reason, signal)
    } catch (error) {
      this.distrust(reason ?? 'failure')
      throw error
    }
  }

  async #partial(request: SyncRequest, signal: AbortSignal): Promise<SyncOutcome> {
    const clock = this.#clock
    const t0 = clock.monotonic()
    const host = request.hostChanged || this.#host === undefined ? this.#desired.host(this.family) : this.#host
    const keys = request.allServices ? this.#everyKey() : request.services
    const next = new Map<ServiceKey, readonly ServiceState[]>()
    const services = new Map<ServicePortId, ServiceChange>()
    for (const key of keys) {
      const after = this.#desired.states(this.family, key)
      next.set(key, after)
      pair(this.#applied.get(key) ?? [], after, services)
    }
    const t1 = clock.monotonic()
    const plan = this.#backend.plan({ kind: 'delta', host, services })
    const t2 = clock.monotonic()
    await this.#backend.apply(plan, signal)
    for (const [key, states] of next) {
      if (states.length === 0) this.#applied.delete(key)
      else this.#applied.set(key, states)
    }
    this.#host = host
    const stages = { desiredMs: t1 - t0, planMs: t2 - t1, applyMs: clock.monotonic() - t2 }
    const { added, removed, structure } = plan.summary
    return { kind: 'partial', stages, added, removed, structure, drift: undefined }
  }

  async #fullSync(reason: FullReason, signal: AbortSignal): Promise<SyncOutcome> {
    const clock = this.#clock
    const observed = await this.#backend.observe(signal)
    const t0 = clock.monotonic()
    const host = this.#desired.host(this.family)
    const next = new Map<ServiceKey, readonly ServiceState[]>()
    for (const key of this.#desired.keys()) {
      const states = this.#desired.states(this.family, key)
      if (states.length > 0) next.set(key, states)
    }
    const t1 = clock.monotonic()
    const rewrite = reason === 'start' || reason === 'tableDeleted' || reason === 'elementsChanged'
    const plan = this.#backend.plan({ kind: 'full', host, services: flatten(next), rewrite }, observed)
    const t2 = clock.monotonic()
    await this.#backend.apply(plan, signal)
    this.#applied = next
    this.#host = host
    const stages = { desiredMs: t1 - t0, planMs: t2 - t1, applyMs: clock.monotonic() - t2 }
    const { added, removed, structure } = plan.summary
    return { kind: 'full', stages, added, removed, structure, drift: driftOf(reason) }
  }

  *#everyKey(): Generator<ServiceKey> {
    yield* this.#desired.keys()
    const present = new Set(this.#desired.keys())
    for (const key of this.#applied.keys()) if (!present.has(key)) yield key
  }
}

const driftOf = (reason: FullReason): DriftReason | undefined =>
  reason === 'start' || reason === 'failure' ? undefined : reason

function* flatten(states: ReadonlyMap<ServiceKey, readonly ServiceState[]>): Generator<ServiceState> {
  for (const list of states.values()) yield* list
}

const pair = (
  before: readonly ServiceState[],
  after: readonly ServiceState[],
  into: Map<ServicePortId, ServiceChange>,
): void => {
  for (const state of before) into.set(state.id, { before: state, after: undefined })
  for (const state of after) into.set(state.id, { before: into.get(state.id)?.before, after: state })
}

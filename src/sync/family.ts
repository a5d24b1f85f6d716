import { isDeepStrictEqual } from 'node:util'
import type { Backend, Change, Observed, ServiceChange } from '../backends/backend.ts'
import type { ServiceState } from '../model/desired.ts'
import type { HostState } from '../model/host.ts'
import type { Family } from '../model/ip.ts'
import type { ServiceKey, ServicePortId } from '../model/names.ts'
import type { Problem } from '../model/problem.ts'
import type { Clock } from './clock.ts'
import { isRefusal } from './error.ts'
import type { DriftReason, StageDurations, SyncKind } from './events.ts'
import { isolate, leftOut, type States, type Writer } from './quarantine.ts'

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
  readonly rulesWritten: ReadonlyMap<string, number> | undefined
  /** Why a full sync was done, when somebody else's write was the reason. */
  readonly drift: DriftReason | undefined
  /** Services that had to be left out, and were not left out before. */
  readonly problems: readonly Problem[]
}

/** Why the next sync of a family has to look at the kernel first. */
type FullReason = 'start' | 'failure' | 'leftOut' | DriftReason

/** A reason replaces a weaker one: drift needs more repair than a failure, and before the first sync there is no drift. */
const strength = {
  leftOut: 0,
  failure: 1,
  periodic: 2,
  elementsChanged: 2,
  tableDeleted: 2,
  start: 3,
} as const satisfies Record<FullReason, number>

const isDrift = (reason: FullReason): reason is DriftReason => strength[reason] === 2

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
  /** Services that the kernel refuses: no part of what was applied. */
  #leftOut: ReadonlyMap<ServiceKey, unknown> = new Map()
  #host: HostState | undefined
  #full: FullReason | undefined = 'start'
  #refused = false

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

  /** As last applied; undefined before the first time. */
  host(): HostState | undefined {
    return this.#host
  }

  /** Services that are not applied, because they were refused, with the error that said so. */
  leftOut(): ReadonlyMap<ServiceKey, unknown> {
    return this.#leftOut
  }

  /** The next sync compares with the kernel instead of trusting what was applied. */
  distrust(reason: FullReason): void {
    // Of equal ones the first says most: a later one is usually its consequence.
    if (this.#full === undefined || strength[reason] > strength[this.#full]) this.#full = reason
  }

  get needsFull(): boolean {
    return this.#full !== undefined
  }

  async sync(request: SyncRequest, signal: AbortSignal): Promise<SyncOutcome> {
    const reason = this.#full
    // Cleared first: a reason that comes up while this sync runs is one for the next.
    this.#full = undefined
    try {
      const outcome = reason === undefined ? await this.#partial(request, signal) : await this.#fullSync(reason, signal)
      this.#refused = false
      return outcome
    } catch (error) {
      this.#refused = isRefusal(error, signal)
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
    if (this.#leftOut.size > 0) this.#leftOut = new Map([...this.#leftOut].filter(([key]) => !next.has(key)))
    this.#host = host
    const stages = { desiredMs: t1 - t0, planMs: t2 - t1, applyMs: clock.monotonic() - t2 }
    const { added, removed, structure, rulesWritten } = plan.summary
    return { kind: 'partial', stages, added, removed, structure, rulesWritten, drift: undefined, problems: [] }
  }

  async #fullSync(reason: FullReason, signal: AbortSignal): Promise<SyncOutcome> {
    const write = new FullWrite(this.#backend, !isOwnDoing(reason), this.#clock, signal)
    const observed = await this.#backend.observe(signal)
    const t0 = this.#clock.monotonic()
    const host = this.#desired.host(this.family)
    const next = new Map<ServiceKey, readonly ServiceState[]>()
    for (const key of this.#desired.keys()) {
      const states = this.#desired.states(this.family, key)
      if (states.length > 0) next.set(key, states)
    }
    const desiredMs = this.#clock.monotonic() - t0
    let refused: ReadonlyMap<ServiceKey, unknown> = new Map()
    try {
      await write.full(host, next, observed)
    } catch (error) {
      // The kernel may have changed between the look and the write: only a second refusal is held against Services.
      if (!this.#refused || !isRefusal(error, signal)) throw error
      refused = await isolate(next, error, this.#changed(next), write.as(host), signal)
    }
    for (const key of refused.keys()) next.delete(key)
    const problems = [...refused]
      .filter(([key]) => !this.#leftOut.has(key))
      .map(([key, error]) => leftOut(this.family, key, error))
    this.#applied = next
    this.#leftOut = refused
    this.#host = host
    const { planMs, applyMs, added, removed, structure, rulesWritten } = write
    const drift = isDrift(reason) ? reason : undefined
    const stages = { desiredMs, planMs, applyMs }
    return { kind: 'full', stages, added, removed, structure, rulesWritten, drift, problems }
  }

  #changed(next: States): readonly ServiceKey[] {
    return [...next].filter(([key, states]) => !isDeepStrictEqual(this.#applied.get(key), states)).map(([key]) => key)
  }

  *#everyKey(): Generator<ServiceKey> {
    yield* this.#desired.keys()
    const present = new Set(this.#desired.keys())
    for (const key of this.#applied.keys()) if (!present.has(key)) yield key
  }
}

/** Nobody else wrote: rules that look right are right. */
const isOwnDoing = (reason: FullReason): boolean => reason === 'failure' || reason === 'leftOut'

/** The writes of one full sync, usually a single one, and what they amount to. */
class FullWrite {
  readonly #backend: Backend
  readonly #rewrite: boolean
  readonly #clock: Clock
  readonly #signal: AbortSignal
  planMs = 0
  applyMs = 0
  added = 0
  removed = 0
  structure = false
  rulesWritten: ReadonlyMap<string, number> | undefined

  constructor(backend: Backend, rewrite: boolean, clock: Clock, signal: AbortSignal) {
    this.#backend = backend
    this.#rewrite = rewrite
    this.#clock = clock
    this.#signal = signal
  }

  full(host: HostState, states: States, observed: Observed): Promise<void> {
    return this.#write({ kind: 'full', host, services: flatten(states), rewrite: this.#rewrite }, observed)
  }

  as(host: HostState): Writer {
    return {
      full: async (states) => this.full(host, states, await this.#backend.observe(this.#signal)),
      add: async (states) => {
        const services = new Map<ServicePortId, ServiceChange>()
        for (const after of states.values()) pair([], after, services)
        await this.#write({ kind: 'delta', host, services })
      },
    }
  }

  async #write(change: Change, observed?: Observed): Promise<void> {
    const t0 = this.#clock.monotonic()
    const plan = this.#backend.plan(change, observed)
    const t1 = this.#clock.monotonic()
    this.planMs += t1 - t0
    await this.#backend.apply(plan, this.#signal)
    this.applyMs += this.#clock.monotonic() - t1
    const { added, removed, structure, rulesWritten } = plan.summary
    this.added += added
    this.removed += removed
    this.structure ||= structure
    this.rulesWritten = rulesWritten
  }
}

function* flatten(states: States): Generator<ServiceState> {
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

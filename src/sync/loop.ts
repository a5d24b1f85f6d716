import type { Family } from '../model/ip.ts'
import type { Dirty } from '../track/pending.ts'
import type { Tracker } from '../track/tracker.ts'
import type { Clock } from './clock.ts'
import { failureOf } from './error.ts'
import type { DriftReason, SyncObserver } from './events.ts'
import type { FamilySync, SyncOutcome, SyncRequest } from './family.ts'
import { Pacing } from './pacing.ts'

export interface SyncLoopOptions {
  readonly tracker: Tracker
  readonly families: readonly FamilySync[]
  readonly observer: SyncObserver
  readonly clock: Clock
  readonly syncPeriodMs: number
  /** 0 = apply at once; set only when the user asked for a pause between syncs. */
  readonly minSyncPeriodMs: number
  readonly random: () => number
  /** After every sync of which at least one family succeeded: services whose state may have changed (undefined = all). */
  readonly afterSync: (changed: Dirty['services'] | undefined) => void
}

/** How long unused objects stay: kernels before 6.2 let go of a chain some time after its last reference. */
const tidyAfterMs = 1000

const nothing: SyncRequest = { services: new Set(), hostChanged: false, allServices: false }

/**
 * The one place that decides when to write and when to try again. A change is applied at once when nothing is in
 * flight; what comes during a commit goes into the next one. Changes leave the tracker's dirty set only when every
 * family has them.
 */
export class SyncLoop {
  readonly #options: SyncLoopOptions
  readonly #pacing: Pacing
  #requested = false
  #hostChanged = false
  #tidyAt: number | undefined
  #verifyAt: number
  #wake: (() => void) | undefined

  constructor(options: SyncLoopOptions) {
    this.#options = options
    this.#pacing = new Pacing(options)
    this.#verifyAt = options.clock.monotonic() + options.syncPeriodMs
  }

  /** The tracker has something new. */
  notify(): void {
    const { observer, clock, families, tracker } = this.#options
    const at = clock.now()
    for (const { family } of families) observer.queued({ family, at })
    observer.pendingChanges({
      services: tracker.serviceChangesPending,
      endpoints: tracker.endpointChangesPending,
      servicesTotal: tracker.serviceChangesTotal,
      endpointsTotal: tracker.endpointChangesTotal,
    })
    this.#request()
  }

  /** The node's own addresses changed. */
  hostChanged(): void {
    this.#hostChanged = true
    this.#request()
  }

  /** Somebody else wrote to what is ours: compare with the kernel now. */
  distrust(family: Family, reason: DriftReason): void {
    this.#options.families.find((sync) => sync.family === family)?.distrust(reason)
    this.#request()
  }

  /**
   * Runs until `stop` fires; a sync in flight is finished first, unless `signal` fires too. Never throws for what a sync
   * does.
   */
  async run(stop: AbortSignal, signal: AbortSignal): Promise<void> {
    const { families, observer, clock } = this.#options
    for (const { family } of families) observer.loopStarted({ family, at: clock.now() })
    this.#requested = true
    while (!stop.aborted) {
      await this.#waitForWork(stop)
      if (stop.aborted) return
      await this.#verifyIfDue(signal)
      if (this.#requested && this.#pacing.delay(clock.monotonic()) === 0) await this.syncOnce(signal)
      await this.#tidyIfDue(signal)
    }
  }

  /** One pass over all families. Returns the first error, after every family has had its turn. */
  async syncOnce(signal: AbortSignal): Promise<unknown> {
    const { tracker, families, clock } = this.#options
    this.#requested = false
    const hostChanged = this.#hostChanged
    this.#hostChanged = false
    const dirty = tracker.take()
    const request: SyncRequest =
      dirty === undefined
        ? { ...nothing, hostChanged }
        : { services: dirty.services, hostChanged: hostChanged || dirty.hostChanged, allServices: dirty.allServices }
    const wasFull = families.some((family) => family.needsFull)
    let firstError: unknown
    for (const family of families) {
      if (dirty === undefined && !hostChanged && !family.needsFull) continue
      const error = await this.#syncFamily(family, request, dirty, signal)
      firstError ??= error
    }
    if (firstError === undefined) {
      if (dirty !== undefined) tracker.commit()
      this.#pacing.succeeded(clock.monotonic())
    } else {
      if (dirty !== undefined) tracker.rollback()
      this.#hostChanged ||= hostChanged
      this.#requested = true
    }
    this.#options.afterSync(wasFull || request.allServices || dirty === undefined ? undefined : dirty.services)
    this.#tidyAt ??= clock.monotonic() + tidyAfterMs
    return firstError
  }

  async #syncFamily(
    sync: FamilySync,
    request: SyncRequest,
    dirty: Dirty | undefined,
    signal: AbortSignal,
  ): Promise<unknown> {
    const { observer, clock } = this.#options
    const { family } = sync
    const kind = sync.needsFull ? 'full' : 'partial'
    observer.started({ family, kind, at: clock.now() })
    const start = clock.monotonic()
    try {
      const outcome = await sync.sync(request, signal)
      this.#report(family, outcome, dirty, start)
      return undefined
    } catch (error) {
      const at = clock.now()
      const retryInMs = this.#pacing.failed(clock.monotonic())
      const durationMs = clock.monotonic() - start
      if (!signal.aborted) observer.failed({ family, kind, durationMs, ...failureOf(error), at, retryInMs })
      return error
    }
  }

  #report(family: Family, outcome: SyncOutcome, dirty: Dirty | undefined, start: number): void {
    const { observer, clock } = this.#options
    const { kind, stages, added, removed, structure, drift } = outcome
    const endpointTriggers = dirty === undefined ? [] : [...dirty.triggeredAt.values()].flat()
    const durationMs = clock.monotonic() - start
    observer.applied({ family, kind, durationMs, stages, endpointTriggers, added, removed, structure, at: clock.now() })
    if (drift !== undefined && (added > 0 || removed > 0 || structure)) {
      observer.driftRepaired({ family, reason: drift, added, removed })
    }
  }

  /** Every sync period: a family whose part of the kernel may have been written to by others is compared in full. */
  async #verifyIfDue(signal: AbortSignal): Promise<void> {
    const { clock, families, syncPeriodMs } = this.#options
    if (clock.monotonic() < this.#verifyAt) return
    this.#verifyAt = clock.monotonic() + syncPeriodMs
    for (const sync of families) {
      if (sync.needsFull) continue
      const untouched = await sync.backend.untouched(signal).catch(() => false)
      if (untouched) continue
      sync.distrust('periodic')
      this.#requested = true
    }
  }

  async #tidyIfDue(signal: AbortSignal): Promise<void> {
    const { clock, families, observer } = this.#options
    if (this.#tidyAt === undefined || clock.monotonic() < this.#tidyAt || this.#requested) return
    this.#tidyAt = undefined
    for (const { family, backend } of families) {
      // Here and not after each apply: nobody reads gauges by the microsecond.
      observer.elements({ family, counts: backend.counts() })
      try {
        await backend.tidy(signal)
      } catch (error) {
        if (signal.aborted) return
        observer.cleanupFailed({ family, ...failureOf(error), at: clock.now() })
        this.#tidyAt = clock.monotonic() + this.#options.syncPeriodMs
      }
    }
  }

  #request(): void {
    this.#requested = true
    const wake = this.#wake
    this.#wake = undefined
    wake?.()
  }

  async #waitForWork(stop: AbortSignal): Promise<void> {
    const { clock } = this.#options
    const now = clock.monotonic()
    const delay = this.#pacing.delay(now)
    if (this.#requested && delay === 0) return
    const due = [this.#verifyAt - now]
    if (delay > 0) due.push(delay)
    if (this.#tidyAt !== undefined) due.push(this.#tidyAt - now)
    const sleeping = new AbortController()
    const woken = new Promise<void>((resolve) => {
      // While a pause is running, a request is remembered but need not wake anyone.
      this.#wake = delay > 0 ? undefined : resolve
    })
    const asleep = clock.sleep(Math.max(0, Math.min(...due)), sleeping.signal)
    const wakeUp = (): void => sleeping.abort()
    stop.addEventListener('abort', wakeUp, { once: true })
    await Promise.race([woken, asleep])
    stop.removeEventListener('abort', wakeUp)
    this.#wake = undefined
    sleeping.abort()
  }
}

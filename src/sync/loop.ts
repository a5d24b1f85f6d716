import type { Family } from '../model/ip.ts'
import type { ServiceKey } from '../model/names.ts'
import type { Tracker } from '../track/tracker.ts'
import type { Clock } from './clock.ts'
import { failureOf } from './error.ts'
import type { DriftReason, SyncObserver } from './events.ts'
import type { FamilySync, SyncOutcome } from './family.ts'
import { Pacing } from './pacing.ts'
import { Waiting } from './waiting.ts'

export interface SyncLoopOptions {
  readonly tracker: Tracker
  readonly families: readonly FamilySync[]
  readonly observer: SyncObserver
  readonly clock: Clock
  readonly syncPeriodMs: number
  /** 0 = apply at once; set only when the user asked for a pause between syncs. */
  readonly minSyncPeriodMs: number
  readonly random: () => number
  /** After every pass over the families, failed ones included: services whose state may have changed (undefined = all). */
  readonly afterSync: (changed: ReadonlySet<ServiceKey> | undefined) => void
  readonly writes?: ReadonlyMap<Family, WriteListener>
}

/** Hears of the writes of one family. Calls are synchronous and short. */
export interface WriteListener {
  writeBegins(): void
  /** `changed`: Services that it was about; undefined = all. */
  written(changed: ReadonlySet<ServiceKey> | undefined): void
  /** What is in the kernel is unknown. */
  writeFailed(): void
}

/** How long unused objects stay: kernels before 6.2 let go of a chain some time after its last reference. */
const tidyAfterMs = 1000

/** One family's way through the loop: it pauses, fails and tries again for itself. */
interface Lane {
  readonly sync: FamilySync
  readonly pacing: Pacing
  /** Changes that another family has written already. */
  waiting: Waiting
}

/**
 * The one place that decides when to write and when to try again. A change is applied at once when nothing is in
 * flight; what comes during a commit goes into the next one. A family that fails waits for its retry and holds up no
 * other. Changes leave the tracker's dirty set when a family has written them; for the others they are kept here.
 */
export class SyncLoop {
  readonly #options: SyncLoopOptions
  readonly #lanes: readonly Lane[]
  #requested = false
  #hostChanged = false
  #tidyAt: number | undefined
  #verifyAt: number
  #wake: (() => void) | undefined

  constructor(options: SyncLoopOptions) {
    this.#options = options
    this.#lanes = options.families.map((sync) => ({ sync, pacing: new Pacing(options), waiting: new Waiting() }))
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
      const due = this.#lanes.filter((lane) => this.#isDue(lane, clock.monotonic()))
      if (due.length > 0) await this.#pass(due, signal)
      await this.#tidyIfDue(signal)
    }
  }

  /** One pass over all families, pauses or not. Returns the first error, after every family has had its turn. */
  syncOnce(signal: AbortSignal): Promise<unknown> {
    return this.#pass(this.#lanes, signal)
  }

  async #pass(lanes: readonly Lane[], signal: AbortSignal): Promise<unknown> {
    const { tracker, clock, afterSync } = this.#options
    this.#requested = false
    const hostChanged = this.#hostChanged
    this.#hostChanged = false
    const dirty = tracker.take()
    const news = (lane: Lane): Waiting => lane.waiting.with(dirty, hostChanged)
    const looked = new Set<ServiceKey>()
    const done = new Set<Lane>()
    let all = false
    let firstError: unknown
    for (const lane of lanes) {
      const request = news(lane)
      const full = lane.sync.needsFull
      const error = request.empty && !full ? undefined : await this.#syncFamily(lane, request, signal)
      all ||= full || request.allServices
      for (const key of request.services) looked.add(key)
      if (error === undefined) done.add(lane)
      firstError ??= error
    }
    if (done.size > 0) {
      for (const lane of this.#lanes) lane.waiting = done.has(lane) ? new Waiting() : news(lane)
      if (dirty !== undefined) tracker.commit()
    } else {
      if (dirty !== undefined) tracker.rollback()
      this.#hostChanged ||= hostChanged
      this.#requested = true
    }
    afterSync(all ? undefined : looked)
    this.#tidyAt ??= clock.monotonic() + tidyAfterMs
    return firstError
  }

  async #syncFamily({ sync, pacing }: Lane, request: Waiting, signal: AbortSignal): Promise<unknown> {
    const { observer, clock } = this.#options
    const { family } = sync
    const kind = sync.needsFull ? 'full' : 'partial'
    const listener = this.#options.writes?.get(family)
    observer.started({ family, kind, at: clock.now() })
    const start = clock.monotonic()
    listener?.writeBegins()
    try {
      const outcome = await sync.sync(request, signal)
      listener?.written(outcome.kind === 'full' || request.allServices ? undefined : request.services)
      this.#report(family, outcome, request.triggers, start)
      pacing.succeeded(clock.monotonic())
      return undefined
    } catch (error) {
      listener?.writeFailed()
      const at = clock.now()
      const retryInMs = pacing.failed(clock.monotonic())
      const durationMs = clock.monotonic() - start
      if (!signal.aborted) observer.failed({ family, kind, durationMs, ...failureOf(error), at, retryInMs })
      return error
    }
  }

  #report(family: Family, outcome: SyncOutcome, endpointTriggers: readonly number[], start: number): void {
    const { observer, clock } = this.#options
    const { kind, stages, added, removed, structure, rulesWritten, drift, problems } = outcome
    const durationMs = clock.monotonic() - start
    const written = { added, removed, structure, ...(rulesWritten === undefined ? {} : { rulesWritten }) }
    observer.applied({ family, kind, durationMs, stages, endpointTriggers, ...written, at: clock.now() })
    for (const problem of problems) observer.problem({ problem, source: 'backend' })
    if (drift !== undefined && (added > 0 || removed > 0 || structure)) {
      observer.driftRepaired({ family, reason: drift, added, removed })
    }
  }

  /**
   * Every sync period: a family whose part of the kernel may have been written to by others is compared in full, and
   * Services that were refused get another chance.
   */
  async #verifyIfDue(signal: AbortSignal): Promise<void> {
    const { clock, families, syncPeriodMs } = this.#options
    if (clock.monotonic() < this.#verifyAt) return
    this.#verifyAt = clock.monotonic() + syncPeriodMs
    for (const sync of families) {
      if (sync.leftOut().size > 0) sync.distrust('leftOut')
      const untouched = await sync.backend.untouched(signal).catch(() => false)
      if (!untouched) sync.distrust('periodic')
    }
  }

  async #tidyIfDue(signal: AbortSignal): Promise<void> {
    const { clock, families, observer } = this.#options
    const now = clock.monotonic()
    if (this.#tidyAt === undefined || now < this.#tidyAt || this.#lanes.some((lane) => this.#isDue(lane, now))) return
    this.#tidyAt = undefined
    for (const { family, backend, needsFull } of families) {
      // Its next sync comes first, and tidying again a while after it.
      if (needsFull) continue
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

  #wants({ sync, waiting }: Lane): boolean {
    return this.#requested || sync.needsFull || !waiting.empty
  }

  #isDue(lane: Lane, now: number): boolean {
    return this.#wants(lane) && lane.pacing.delay(now) === 0
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
    if (this.#lanes.some((lane) => this.#isDue(lane, now))) return
    const due = [this.#verifyAt - now]
    for (const lane of this.#lanes) if (this.#wants(lane)) due.push(lane.pacing.delay(now))
    if (this.#tidyAt !== undefined) due.push(this.#tidyAt - now)
    const sleeping = new AbortController()
    const woken = new Promise<void>((resolve) => {
      this.#wake = resolve
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

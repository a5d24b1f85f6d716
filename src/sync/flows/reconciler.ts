import type { HostState } from '../../model/host.ts'
import type { Family } from '../../model/ip.ts'
import type { ServiceKey } from '../../model/names.ts'
import type { Protocol } from '../../model/protocol.ts'
import type { Tracker } from '../../track/tracker.ts'
import type { Clock } from '../clock.ts'
import { failureOf } from '../error.ts'
import type { SyncObserver } from '../events.ts'
import type { FamilySync } from '../family.ts'
import type { WriteListener } from '../loop.ts'
import { Pacing } from '../pacing.ts'
import { FlowIndex } from './flow-index.ts'
import type { FlowTable } from './flow-table.ts'
import { SecondLook } from './second-look.ts'
import { type Swept, sweep } from './sweep.ts'

export interface FlowReconcilerOptions {
  readonly sync: FamilySync
  readonly tracker: Tracker
  readonly table: FlowTable
  readonly clock: Clock
  readonly observer: Pick<SyncObserver, 'flowsReconciled' | 'flowsFailed'>
  /** The rules serve NodePorts on loopback addresses of this family. */
  readonly loopbackNodePorts: boolean
  readonly random: () => number
}

/** Reading the table takes a core and holds locks: at most one part in so many of the time, */
const restFactor = 5
/** but in no case are stale flows left alone for longer than this. */
const mostRestMs = 10_000
const mostRetryMs = 60_000

const flowProtocols = ['UDP', 'SCTP'] as const
type FlowProtocol = (typeof flowProtocols)[number]

/** `settled`: the last write succeeded, and no other has begun. */
type Writing = 'settled' | 'underWay' | 'failed'

/**
 * Deletes what conntrack knows of flows to one family's Services that leads to no endpoint of theirs, after each write
 * that was about them: the next packet is a first one again, and goes by the rules. Works in the background of the loop,
 * and never before a write has succeeded. A pass that fails is made again.
 */
export class FlowReconciler implements WriteListener {
  readonly #options: FlowReconcilerOptions
  readonly #index: FlowIndex
  readonly #retries: Pacing
  /** Whose entries are to be looked at; those of TCP when an endpoint has been gone for long enough. */
  readonly #wanted = new Set<FlowProtocol>()
  readonly #secondLooks: Readonly<Record<FlowProtocol, SecondLook>> = { UDP: new SecondLook(), SCTP: new SecondLook() }
  #writing: Writing = 'failed'
  #host: HostState | undefined
  #notBefore = 0
  #waiting: (() => void)[] = []
  #busy = false

  constructor(options: FlowReconcilerOptions) {
    const { sync, loopbackNodePorts, random } = options
    this.#options = options
    this.#index = new FlowIndex({ backend: sync.backend, loopbackNodePorts })
    this.#retries = new Pacing({ syncPeriodMs: mostRetryMs, minSyncPeriodMs: 0, random })
  }

  get family(): Family {
    return this.#options.sync.family
  }

  /** From here on the rules may be ahead of what is known of them. */
  writeBegins(): void {
    this.#writing = 'underWay'
  }

  writeFailed(): void {
    this.#writing = 'failed'
    this.#wake()
  }

  /** `changed`: Services that it was about; undefined = all. */
  written(changed: ReadonlySet<ServiceKey> | undefined): void {
    const { sync, tracker, clock } = this.#options
    const applied = sync.applied()
    const now = clock.monotonic()
    const host = sync.host()
    const protocols = new Set<Protocol>()
    if (host !== undefined && host !== this.#host && this.#index.setHost(host))
      for (const protocol of flowProtocols) protocols.add(protocol)
    this.#host = host
    for (const key of changed ?? new Set([...applied.keys(), ...this.#index.keys()]))
      for (const protocol of this.#index.update(key, applied.get(key) ?? [], tracker.slicesOf(key), now))
        protocols.add(protocol)
    for (const protocol of flowProtocols)
      if (protocols.has(protocol) && this.#index.concerns(protocol)) this.#wanted.add(protocol)
    this.#writing = 'settled'
    this.#wake()
  }

  /** Somebody else may have translated since the last write: everything is to be looked at. */
  again(): void {
    for (const protocol of flowProtocols) if (this.#index.concerns(protocol)) this.#wanted.add(protocol)
    this.#wake()
  }

  /** Makes passes until `stop` fires, which ends one that is under way, too. */
  async run(stop: AbortSignal): Promise<void> {
    while (!stop.aborted) {
      const delay = this.#delay()
      if (delay === 0) await this.#pass(stop)
      else await this.#sleep(delay, stop)
    }
  }

  /** One pass over everything, whatever was the matter with the last. Never rejects; false: it failed. */
  once(signal: AbortSignal): Promise<boolean> {
    return this.#pass(signal)
  }

  /** Resolves when every flow has been looked at that there is a reason to look at now; or that has failed. */
  async idle(): Promise<void> {
    while (this.#busy || (this.#writing === 'settled' && this.#wanted.size > 0 && !this.#retries.failing))
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }

  /** Milliseconds until the next pass; undefined: something else has to happen first. */
  #delay(): number | undefined {
    if (this.#writing !== 'settled') return undefined
    const now = this.#options.clock.monotonic()
    const due = Math.min(
      this.#wanted.size > 0 ? now : Number.POSITIVE_INFINITY,
      this.#index.connectionsDue() ?? Number.POSITIVE_INFINITY,
      ...flowProtocols.map((protocol) => this.#secondLooks[protocol].due),
    )
    if (due === Number.POSITIVE_INFINITY) return undefined
    return Math.max(due - now, this.#notBefore - now, this.#retries.delay(now), 0)
  }

  async #pass(signal: AbortSignal): Promise<boolean> {
    const { clock } = this.#options
    const start = clock.monotonic()
    for (const protocol of flowProtocols) if (this.#secondLooks[protocol].due <= start) this.#wanted.add(protocol)
    const protocols: Protocol[] = [...this.#wanted]
    const due = this.#index.connectionsDue()
    if (due !== undefined && due <= start) protocols.push('TCP')
    this.#wanted.clear()
    this.#busy = true
    const failures: unknown[] = []
    let deleted = 0
    try {
      for (const protocol of protocols) {
        const swept = await this.#sweep(protocol, signal)
        if (!swept.whole && protocol !== 'TCP') this.#wanted.add(protocol)
        if (protocol !== 'TCP') this.#lookedThrough(protocol, start, swept.deleted)
        deleted += swept.deleted
        failures.push(...swept.failures)
      }
    } catch {
      // Nothing but the signal ends a sweep.
      return false
    } finally {
      this.#busy = false
      this.#report(start, deleted, failures, signal)
      this.#wake()
    }
    return failures.length === 0
  }

  #lookedThrough(protocol: FlowProtocol, from: number, deleted: number): void {
    const to = this.#options.clock.monotonic()
    this.#secondLooks[protocol].looked({ from, to, deleted: this.#index.concerns(protocol) ? deleted : 0 })
  }

  #report(start: number, deleted: number, failures: readonly unknown[], signal: AbortSignal): void {
    if (signal.aborted) return
    const { sync, clock, observer } = this.#options
    const { family } = sync
    const now = clock.monotonic()
    const durationMs = now - start
    const at = clock.now()
    this.#notBefore = now + Math.min(mostRestMs, restFactor * durationMs)
    if (failures.length === 0) {
      this.#retries.succeeded(now)
      observer.flowsReconciled({ family, durationMs, deleted, at })
      return
    }
    const retryInMs = Math.max(this.#retries.failed(now), this.#notBefore - now)
    observer.flowsFailed({ family, durationMs, deleted, ...failureOf(failures[0]), retryInMs, at })
  }

  async #sweep(protocol: Protocol, signal: AbortSignal): Promise<Swept> {
    const { sync, table, clock } = this.#options
    const pass = this.#index.begin(protocol, clock.monotonic())
    for (const [id, ends] of pass.vanished) sync.backend.endConnections?.(id, ends)
    const swept = await sweep(
      {
        table,
        family: sync.family,
        protocol,
        isStale: (flow) => this.#index.isStale(flow),
        mayDelete: () => this.#writing === 'settled',
        untilSettled: (aborted) => this.#untilSettled(aborted),
      },
      signal,
    )
    if (swept.whole) pass.end()
    return swept
  }

  async #untilSettled(signal: AbortSignal): Promise<boolean> {
    while (this.#writing === 'underWay' && !signal.aborted) await this.#sleep(undefined, signal)
    return this.#writing === 'settled'
  }

  /** Until something happens, or for so many milliseconds. */
  async #sleep(ms: number | undefined, signal: AbortSignal): Promise<void> {
    const ended = new AbortController()
    const end = (): void => ended.abort()
    signal.addEventListener('abort', end, { once: true })
    const woken = new Promise<void>((resolve) => {
      this.#waiting.push(resolve)
      ended.signal.addEventListener('abort', () => resolve(), { once: true })
    })
    const others = ms === undefined ? [] : [this.#options.clock.sleep(ms, ended.signal)]
    await Promise.race([woken, ...others])
    signal.removeEventListener('abort', end)
    end()
  }

  #wake(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const wake of waiting) wake()
  }
}

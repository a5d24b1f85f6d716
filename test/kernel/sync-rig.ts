import { NftablesBackend, nftCapabilities } from '../../src/backends/nftables/backend.ts'
import type { NftPlan } from '../../src/backends/nftables/plan.ts'
import type { HostSettings } from '../../src/desired/host-state.ts'
import type { NftClient } from '../../src/kernel/nft/client.ts'
import { WriteGuard } from '../../src/kernel/nft/write-guard.ts'
import type { ModelChange } from '../../src/model/change.ts'
import { type Family, families, type IP } from '../../src/model/ip.ts'
import { type Clock, systemClock } from '../../src/sync/clock.ts'
import { noopObserver, type SyncEvents, type SyncObserver } from '../../src/sync/events.ts'
import { FamilySync } from '../../src/sync/family.ts'
import { SyncLoop } from '../../src/sync/loop.ts'
import { TrackedDesired } from '../../src/sync/tracked-desired.ts'
import { Tracker } from '../../src/track/tracker.ts'
import { subject } from './sync-world.ts'

export const never: AbortSignal = new AbortController().signal

export const plainSettings: HostSettings = {
  bindAddress: undefined,
  nodePortAddresses: [],
  loopbackNodePorts: false,
  detectLocal: { kind: 'NodeCIDR' },
  masqueradeAll: false,
  masqueradeBit: 14,
}

/** Remembers its plans. */
class RecordingBackend extends NftablesBackend {
  readonly plans: NftPlan[] = []

  override plan(...args: Parameters<NftablesBackend['plan']>): NftPlan {
    const plan = super.plan(...args)
    this.plans.push(plan)
    return plan
  }
}

export type Told = {
  readonly [Name in keyof SyncEvents]: { readonly name: Name; readonly event: SyncEvents[Name] }
}[keyof SyncEvents]

export interface RigOptions {
  readonly client: NftClient
  readonly settings?: HostSettings
  readonly guard?: WriteGuard
  readonly clock?: Clock
  readonly syncPeriodMs?: number
  readonly minSyncPeriodMs?: number
  readonly served?: readonly Family[]
}

/** Tracker, loop and both families' backends, wired up as the program does it. */
export class Rig {
  readonly tracker = new Tracker({ startedAt: 0 })
  readonly desired: TrackedDesired
  readonly backends: readonly RecordingBackend[]
  readonly families: readonly FamilySync[]
  readonly loop: SyncLoop
  readonly told: Told[] = []
  #addresses: readonly IP[] = []

  constructor({
    client,
    settings = plainSettings,
    guard = new WriteGuard(client),
    clock = systemClock,
    syncPeriodMs = 30_000,
    minSyncPeriodMs = 0,
    served = families,
  }: RigOptions) {
    this.desired = new TrackedDesired({
      tracker: this.tracker,
      settings,
      nodeName: 'here',
      supportedSchedulers: nftCapabilities.schedulers,
      interfaceAddresses: () => this.#addresses,
    })
    this.backends = served.map((family) => new RecordingBackend(family, client, guard))
    this.families = this.backends.map((backend) => new FamilySync(backend, this.desired, clock))
    this.loop = new SyncLoop({
      tracker: this.tracker,
      families: this.families,
      observer: this.#observer(),
      clock,
      syncPeriodMs,
      minSyncPeriodMs,
      random: () => 0,
      afterSync: () => {},
    })
  }

  apply(...changes: readonly ModelChange[]): void {
    this.tracker.apply(changes)
    this.loop.notify()
  }

  setAddresses(addresses: readonly IP[]): void {
    this.#addresses = addresses
    this.loop.hostChanged()
  }

  /** One pass; what failed, if anything. */
  sync(): Promise<unknown> {
    return this.loop.syncOnce(never)
  }

  /** As {@link sync}, but a failure is thrown. */
  async mustSync(): Promise<void> {
    const error = await this.sync()
    if (error !== undefined) throw error
  }

  /** As the loop does it: not while the next sync has to look at the kernel first. */
  async tidy(): Promise<void> {
    for (const { backend, needsFull } of this.families) if (!needsFull) await backend.tidy(never)
  }

  of<Name extends keyof SyncEvents>(name: Name): readonly SyncEvents[Name][] {
    return this.told.flatMap((each) => (each.name === name ? [each.event as SyncEvents[Name]] : []))
  }

  #observer(): SyncObserver {
    const entries = Object.keys(noopObserver).map((name) => [
      name,
      (event: unknown) => this.told.push({ name, event } as Told),
    ])
    return Object.fromEntries(entries) as SyncObserver
  }
}

/** The last word on every object, in the order of first mention. A Node that is gone is still the last one seen. */
export const finalObjects = (history: readonly ModelChange[]): readonly ModelChange[] => {
  const seen = history.filter((change) => change.kind !== 'node' || change.value !== undefined)
  return [...new Map(seen.map((change) => [subject(change), change])).values()]
}

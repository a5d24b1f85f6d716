import type { Backend } from '../../src/backends/backend.ts'
import { NftablesBackend } from '../../src/backends/nftables/backend.ts'
import type { NftPlan } from '../../src/backends/nftables/plan.ts'
import type { HostSettings } from '../../src/desired/host-state.ts'
import type { NftClient } from '../../src/kernel/nft/client.ts'
import { WriteGuard } from '../../src/kernel/nft/write-guard.ts'
import type { ModelChange } from '../../src/model/change.ts'
import type { Family, IP } from '../../src/model/ip.ts'
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

export interface LoopOptions {
  readonly settings?: HostSettings
  readonly clock?: Clock
  readonly syncPeriodMs?: number
  readonly minSyncPeriodMs?: number
}

/** Tracker, loop and the backends of some families, wired up as the program does it. */
export class BackendRig<B extends Backend> {
  readonly tracker = new Tracker({ startedAt: 0 })
  readonly desired: TrackedDesired
  readonly backends: readonly B[]
  readonly families: readonly FamilySync[]
  readonly loop: SyncLoop
  readonly told: Told[] = []
  #addresses: readonly IP[] = []

  constructor(
    backends: readonly [B, ...B[]],
    { settings = plainSettings, clock = systemClock, syncPeriodMs = 30_000, minSyncPeriodMs = 0 }: LoopOptions,
  ) {
    this.desired = new TrackedDesired({
      tracker: this.tracker,
      settings,
      nodeName: 'here',
      supportedSchedulers: backends[0].capabilities.schedulers,
      interfaceAddresses: () => this.#addresses,
    })
    this.backends = backends
    this.families = backends.map((backend) => new FamilySync(backend, this.desired, clock))
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

export interface RigOptions extends LoopOptions {
  readonly client: NftClient
  readonly guard?: WriteGuard
  readonly served?: readonly [Family, ...Family[]]
}

/** With nftables. */
export class Rig extends BackendRig<RecordingBackend> {
  constructor({ client, guard = new WriteGuard(client), served = ['IPv4', 'IPv6'], ...loop }: RigOptions) {
    const [first, ...rest] = served
    const backend = (family: Family): RecordingBackend => new RecordingBackend(family, client, guard)
    super([backend(first), ...rest.map(backend)], loop)
  }
}

/** The last word on every object, in the order of first mention. A Node that is gone is still the last one seen. */
export const finalObjects = (history: readonly ModelChange[]): readonly ModelChange[] => {
  const seen = history.filter((change) => change.kind !== 'node' || change.value !== undefined)
  return [...new Map(seen.map((change) => [subject(change), change])).values()]
}

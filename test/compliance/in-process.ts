import type { Backend } from '../../src/backends/backend.ts'
import { ipvsDevice } from '../../src/backends/ipvs/settings.ts'
import { NetlinkRoute } from '../../src/kernel/route/netlink-route.ts'
import type { ModelChange } from '../../src/model/change.ts'
import type { Family, IP } from '../../src/model/ip.ts'
import { toChanges } from '../../src/source/objects/to-changes.ts'
import { systemClock } from '../../src/sync/clock.ts'
import { noopObserver } from '../../src/sync/events.ts'
import { FamilySync } from '../../src/sync/family.ts'
import type { FlowTable } from '../../src/sync/flows/flow-table.ts'
import { FlowReconciler } from '../../src/sync/flows/reconciler.ts'
import { SyncLoop } from '../../src/sync/loop.ts'
import { TrackedDesired } from '../../src/sync/tracked-desired.ts'
import { Tracker } from '../../src/track/tracker.ts'
import type { Settings } from '../flows/flow.ts'
import { nodeName } from '../flows/net.ts'
import type { Manifest } from '../flows/objects.ts'

const hours = 3_600_000

/** Objects to kernel, as the program wires it, one sync at a time: every call resolves when the kernel is up to date. */
export class InProcessProxy {
  readonly #tracker = new Tracker({ startedAt: Date.now() })
  readonly #loop: SyncLoop
  readonly #settings: Settings
  readonly #ended = new AbortController()
  #present = new Map<string, ModelChange>()
  readonly #watched: boolean
  #addresses: readonly IP[]
  #syncing: Promise<void> = Promise.resolve()
  readonly #reconciling: Promise<void>[] = []
  readonly #flows: readonly FlowReconciler[]

  /**
   * `addresses`: those of the node, once and for all; unless they are given, the kernel's as they come and go. `flows`:
   * where stale ones are looked for.
   */
  constructor(
    backends: readonly Backend[],
    settings: Settings,
    { addresses, flows }: { readonly addresses?: readonly IP[]; readonly flows?: FlowTable } = {},
  ) {
    this.#settings = settings
    this.#watched = addresses === undefined
    this.#addresses = addresses ?? []
    const [first] = backends
    if (first === undefined) throw new TypeError('no backend')
    const desired = new TrackedDesired({
      tracker: this.#tracker,
      settings,
      nodeName,
      supportedSchedulers: first.capabilities.schedulers,
      interfaceAddresses: () => this.#addresses,
    })
    const families = backends.map((backend) => new FamilySync(backend, desired, systemClock))
    const reconciler = (sync: FamilySync, table: FlowTable): FlowReconciler =>
      new FlowReconciler({
        sync,
        tracker: this.#tracker,
        table,
        clock: systemClock,
        observer: noopObserver,
        loopbackNodePorts: settings.loopbackNodePorts && sync.family === 'IPv4',
        random: Math.random,
      })
    this.#flows = flows === undefined ? [] : families.map((sync) => reconciler(sync, flows))
    this.#loop = new SyncLoop({
      tracker: this.#tracker,
      families,
      writes: new Map(this.#flows.map((one) => [one.family, one])),
      observer: noopObserver,
      clock: systemClock,
      syncPeriodMs: hours,
      minSyncPeriodMs: 0,
      random: Math.random,
      afterSync: () => {},
    })
  }

  async start(objects: readonly Manifest[]): Promise<void> {
    if (this.#watched) await this.#watchAddresses()
    for (const reconciler of this.#flows) this.#reconciling.push(reconciler.run(this.#ended.signal))
    await this.update(objects)
  }

  async #watchAddresses(): Promise<void> {
    const route = new NetlinkRoute()
    const ips = (list: readonly { readonly ip: IP }[]): readonly IP[] => list.map(({ ip }) => ip)
    const onChange = (list: readonly { readonly ip: IP }[]): void => void this.#addressesChanged(ips(list))
    const present = await route.watchAddresses(onChange, this.#ended.signal, { ignore: ipvsDevice })
    this.#addresses = ips(present)
  }

  async update(objects: readonly Manifest[]): Promise<void> {
    const wanted = new Map<string, ModelChange>()
    for (const { kind, ...change } of toChanges({ kind: 'List', apiVersion: 'v1', items: objects }, this.#settings)
      .changes) {
      wanted.set(keyOf({ kind, ...change } as ModelChange), { kind, ...change } as ModelChange)
    }
    const gone: ModelChange[] = []
    for (const [key, change] of this.#present) if (!wanted.has(key)) gone.push({ ...change, value: undefined })
    this.#tracker.apply([...gone, ...wanted.values()])
    this.#present = wanted
    await this.#sync()
    await Promise.all(this.#flows.map((reconciler) => reconciler.idle()))
  }

  async distrust(family: Family): Promise<void> {
    this.#loop.distrust(family, 'tableDeleted')
    await this.#sync()
  }

  async stop(): Promise<void> {
    this.#ended.abort()
    await this.#syncing.catch(() => {})
    await Promise.all(this.#reconciling)
  }

  async #addressesChanged(addresses: readonly IP[]): Promise<void> {
    this.#addresses = addresses
    this.#loop.hostChanged()
    await this.#sync()
  }

  /** One after the other: the loop knows no two syncs at once. */
  #sync(): Promise<void> {
    const next = this.#syncing.then(async () => {
      const error = await this.#loop.syncOnce(new AbortController().signal)
      if (error !== undefined) throw error
    })
    this.#syncing = next.catch(() => {})
    return next
  }
}

const keyOf = (change: ModelChange): string => {
  switch (change.kind) {
    case 'service':
    case 'slice':
      return `${change.kind} ${change.key}`
    case 'node':
      return change.kind
    case 'serviceCidr':
      return `${change.kind} ${change.name}`
  }
}

import type { Backend } from '../backends/backend.ts'
import type { Config } from '../config/config.ts'
import type { Family, IP } from '../model/ip.ts'
import { CapabilityReports } from '../sync/capability-reports.ts'
import type { Clock } from '../sync/clock.ts'
import type { DriftReason, SyncObserver } from '../sync/events.ts'
import { FamilySync } from '../sync/family.ts'
import type { FlowTable } from '../sync/flows/flow-table.ts'
import { FlowReconciler } from '../sync/flows/reconciler.ts'
import { SyncLoop } from '../sync/loop.ts'
import { ServiceFacts } from '../sync/service-facts.ts'
import { TrackedDesired } from '../sync/tracked-desired.ts'
import { TrackingSink } from '../sync/tracking-sink.ts'
import { Tracker } from '../track/tracker.ts'
import { FatalError } from './fatal.ts'
import { defaultSchedulerOf, hostSettings, nodeNameOf } from './settings.ts'

export interface ProxyOptions {
  readonly config: Config
  readonly backends: readonly Backend[]
  readonly observer: SyncObserver
  readonly clock: Clock
  /** Where stale flows are looked for; undefined: nowhere. */
  readonly flows?: FlowTable
  /** Every family has been written once: what others left can go. Called once. */
  readonly firstWritten: () => void
}

/** The parts between the sources and the kernel, wired up. */
export interface NodeProxy {
  readonly tracker: Tracker
  readonly desired: TrackedDesired
  readonly sink: TrackingSink
  readonly loop: SyncLoop
  /** One for each family. */
  readonly flows: readonly FlowReconciler[]
  /** All addresses of the node's interfaces, as they are now. */
  setAddresses(addresses: readonly IP[]): void
  distrust(family: Family, reason: DriftReason): void
}

/** @throws FatalError when there is no family to serve */
export const composeProxy = (options: ProxyOptions): NodeProxy => {
  const { config, backends, observer, clock, flows, firstWritten } = options
  const capabilities = backends[0]?.capabilities
  if (capabilities === undefined) throw new FatalError('neither IPv4 nor IPv6 can be served')
  const tracker = new Tracker({ startedAt: clock.now() })
  let addresses: readonly IP[] = []
  const desired = new TrackedDesired({
    tracker,
    settings: hostSettings(config),
    nodeName: nodeNameOf(config),
    supportedSchedulers: capabilities.schedulers,
    interfaceAddresses: () => addresses,
  })
  const families = backends.map((backend) => new FamilySync(backend, desired, clock))
  const { loopbackNodePorts } = hostSettings(config)
  const reconciler = (sync: FamilySync, table: FlowTable): FlowReconciler =>
    new FlowReconciler({
      sync,
      tracker,
      table,
      clock,
      observer,
      loopbackNodePorts: loopbackNodePorts && sync.family === 'IPv4',
      random: Math.random,
    })
  const reconcilers = flows === undefined ? [] : families.map((sync) => reconciler(sync, flows))
  const facts = families.map((sync) => new ServiceFacts(sync, desired, observer))
  const reports = new CapabilityReports({
    capabilities,
    backend: config.mode,
    defaultScheduler: defaultSchedulerOf(config),
    report: (problem) => observer.problem({ problem, source: 'backend' }),
  })
  let written = false
  const loop = new SyncLoop({
    tracker,
    families,
    observer,
    clock,
    syncPeriodMs: config.syncPeriodMs,
    // Unless the user asked for a pause between syncs, there is none.
    minSyncPeriodMs: config.minSyncPeriodExplicit ? config.minSyncPeriodMs : 0,
    random: Math.random,
    writes: new Map(reconcilers.map((one) => [one.family, one])),
    afterSync: (changed) => {
      for (const fact of facts) fact.update(changed)
      for (const key of changed ?? desired.keys()) reports.check(key, tracker)
      if (written || families.some((sync) => sync.needsFull)) return
      written = true
      firstWritten()
    },
  })
  const sink = new TrackingSink({ tracker, observer, changed: () => loop.notify() })
  return {
    tracker,
    desired,
    sink,
    loop,
    flows: reconcilers,
    setAddresses: (list) => {
      addresses = list
      loop.hostChanged()
    },
    distrust: (family, reason) => loop.distrust(family, reason),
  }
}

import { collectDefaultMetrics, Gauge, Registry } from 'prom-client'
import type { SyncObserver } from '../../sync/events.ts'
import type { Clock } from '../clock.ts'
import type { HealthCode, HealthPath } from '../health/health-routes.ts'
import { conntrackMetrics, type TrackedFlows } from './conntrack-metrics.ts'
import { nfacctMetrics, type RulePackets } from './iptables-metrics.ts'
import { ipvsMetrics, type ServerCounts } from './ipvs-metrics.ts'
import { kubeProxyMetrics, type ProxyMode } from './kube-proxy-metrics.ts'
import { type ProcessTraffic, userspaceMetrics } from './userspace-metrics.ts'
import { type SourceMetrics, weirMetrics } from './weir-metrics.ts'

/** What was built, as `weir_build_info` shows it. */
export interface BuildInfo {
  readonly version: string
  /** The commit it was built from; '' when unknown. */
  readonly commit: string
}

export interface Metrics {
  readonly registry: Registry
  /** Both sets of series hear of everything through these. */
  readonly observers: readonly Partial<SyncObserver>[]
  readonly source: SourceMetrics
  countProbe(path: HealthPath, code: HealthCode): void
  /** From now on the packets that the kernel counts for rules are read at each scrape. At most once. */
  countPackets(read: () => Promise<RulePackets | undefined>): void
  /** From now on the kernel's connection tracking is read at each scrape. At most once. */
  countFlows(read: () => Promise<TrackedFlows>): void
  /** From now on what passes through this process is read at each scrape. At most once. */
  countTraffic(read: () => ProcessTraffic): void
  /** From now on virtual servers are counted at each scrape. At most once. */
  countServers(read: () => readonly ServerCounts[]): void
}

/** All series of this process in a registry of their own. */
export const createMetrics = (mode: ProxyMode, build: BuildInfo, clock: Clock): Metrics => {
  const registry = new Registry()
  // The event loop is sampled by a timer: 100 ms instead of 10 keeps an idle proxy idle.
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: 100 })
  new Gauge({
    name: 'weir_build_info',
    help: "A metric with a constant '1' value labeled by version, git commit, mode, Node.js version and platform",
    labelNames: ['version', 'git_commit', 'mode', 'node_version', 'platform'],
    registers: [registry],
  }).set(
    {
      version: build.version,
      git_commit: build.commit,
      mode,
      node_version: process.version,
      platform: `${process.platform}/${process.arch}`,
    },
    1,
  )
  const kubeProxy = kubeProxyMetrics(registry, mode, clock.now())
  const weir = weirMetrics(registry)
  return {
    registry,
    observers: [kubeProxy, weir],
    source: weir.source,
    countProbe: kubeProxy.countProbe,
    countPackets: (read) => nfacctMetrics(registry, read),
    countFlows: (read) => conntrackMetrics(registry, read),
    countTraffic: (read) => userspaceMetrics(registry, read),
    countServers: (read) => ipvsMetrics(registry, read),
  }
}

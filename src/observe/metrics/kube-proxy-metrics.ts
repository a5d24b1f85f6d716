import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import type { SyncEvents, SyncObserver } from '../../sync/events.ts'
import type { HealthCode, HealthPath } from '../health/health-routes.ts'
import { networkProgrammingBuckets, syncBuckets } from './buckets.ts'
import { alpha } from './help.ts'
import { iptablesMetrics } from './iptables-metrics.ts'

export type ProxyMode = 'nftables' | 'iptables' | 'ipvs' | 'userspace'

export interface KubeProxyMetrics extends Partial<SyncObserver> {
  /** Counts an answer of the health port. */
  countProbe(path: HealthPath, code: HealthCode): void
}

/**
 * kube-proxy's own series, under its names, labels, buckets and help texts (pkg/proxy/metrics, 1.36), so that
 * dashboards and alerts keep working. As there, some exist in some modes only.
 *
 * @param startedAt milliseconds since the epoch: endpoint changes from before that are nobody's latency
 */
export const kubeProxyMetrics = (registry: Registry, mode: ProxyMode, startedAt: number): KubeProxyMetrics => {
  const registers = [registry]
  const family = ['ip_family'] as const

  const histogram = (name: string, help: string, buckets: number[]): Histogram<'ip_family'> =>
    new Histogram({ name: `kubeproxy_${name}`, help: alpha(help), labelNames: family, buckets, registers })
  const gauge = <L extends string>(name: string, help: string, labelNames: readonly L[]): Gauge<L> =>
    new Gauge({ name: `kubeproxy_${name}`, help: alpha(help), labelNames, registers })
  const counter = <L extends string>(name: string, help: string, labelNames: readonly L[]): Counter<L> =>
    new Counter({ name: `kubeproxy_${name}`, help: alpha(help), labelNames, registers })

  const sync = histogram('sync_proxy_rules_duration_seconds', 'SyncProxyRules latency in seconds', syncBuckets)
  const byKind =
    mode === 'ipvs'
      ? undefined
      : {
          full: histogram(
            'sync_full_proxy_rules_duration_seconds',
            'SyncProxyRules latency in seconds for full resyncs',
            syncBuckets,
          ),
          partial: histogram(
            'sync_partial_proxy_rules_duration_seconds',
            'SyncProxyRules latency in seconds for partial resyncs',
            syncBuckets,
          ),
        }
  const networkProgramming = histogram(
    'network_programming_duration_seconds',
    'In Cluster Network Programming Latency in seconds',
    networkProgrammingBuckets,
  )
  const lastTimestamp = gauge(
    'sync_proxy_rules_last_timestamp_seconds',
    'The last time proxy rules were successfully synced',
    family,
  )
  const lastQueued = gauge(
    'sync_proxy_rules_last_queued_timestamp_seconds',
    'The last time a sync of proxy rules was queued',
    family,
  )
  const changes = (what: 'Endpoint' | 'Service'): { readonly pending: Gauge; readonly total: Counter } => ({
    pending: gauge(`sync_proxy_rules_${what.toLowerCase()}_changes_pending`, `Pending proxy rules ${what} changes`, []),
    total: counter(
      `sync_proxy_rules_${what.toLowerCase()}_changes_total`,
      `Cumulative proxy rules ${what} changes`,
      [],
    ),
  })
  const endpoints = changes('Endpoint')
  const services = changes('Service')
  const reconciled = {
    duration: histogram(
      'conntrack_reconciler_sync_duration_seconds',
      'ReconcileConntrackFlowsLatency latency in seconds',
      syncBuckets,
    ),
    deleted: counter(
      'conntrack_reconciler_deleted_entries_total',
      'Cumulative conntrack flows deleted by conntrack reconciler',
      family,
    ),
  }
  const nftables =
    mode === 'nftables'
      ? {
          syncFailures: counter(
            'sync_proxy_rules_nftables_sync_failures_total',
            'Cumulative proxy nftables sync failures',
            family,
          ),
          cleanupFailures: counter(
            'sync_proxy_rules_nftables_cleanup_failures_total',
            'Cumulative proxy nftables cleanup failures',
            family,
          ),
        }
      : undefined
  const iptables = mode === 'iptables' || mode === 'ipvs' ? iptablesMetrics(registry, mode) : undefined
  const noLocalEndpoints = gauge(
    'sync_proxy_rules_no_local_endpoints_total',
    'Number of services with a Local traffic policy and no endpoints',
    ['ip_family', 'traffic_policy'],
  )
  const probes = {
    healthz: counter('proxy_healthz_total', 'Cumulative proxy healthz HTTP status', ['code']),
    livez: counter('proxy_livez_total', 'Cumulative proxy livez HTTP status', ['code']),
  }
  const countTo = { services: growing(services.total), endpoints: growing(endpoints.total) }

  const observeSync = ({ family: ip_family, kind, durationMs }: SyncEvents['applied'] | SyncEvents['failed']): void => {
    sync.observe({ ip_family }, durationMs / 1_000)
    byKind?.[kind].observe({ ip_family }, durationMs / 1_000)
  }

  return {
    loopStarted: ({ family: ip_family, at }) => lastQueued.set({ ip_family }, at / 1_000),
    queued: ({ family: ip_family, at }) => lastQueued.set({ ip_family }, at / 1_000),
    applied: (event) => {
      observeSync(event)
      const ip_family = event.family
      lastTimestamp.set({ ip_family }, event.at / 1_000)
      for (const trigger of event.endpointTriggers) {
        if (trigger > startedAt) networkProgramming.observe({ ip_family }, (event.at - trigger) / 1_000)
      }
      iptables?.applied?.(event)
    },
    failed: (event) => {
      observeSync(event)
      nftables?.syncFailures.inc({ ip_family: event.family })
      iptables?.failed?.(event)
    },
    elements: (event) => iptables?.elements?.(event),
    flowsReconciled: ({ family: ip_family, durationMs, deleted }) => {
      reconciled.duration.observe({ ip_family }, durationMs / 1_000)
      reconciled.deleted.inc({ ip_family }, deleted)
    },
    flowsFailed: ({ family: ip_family, durationMs, deleted }) => {
      reconciled.duration.observe({ ip_family }, durationMs / 1_000)
      reconciled.deleted.inc({ ip_family }, deleted)
    },
    cleanupFailed: (event) => nftables?.cleanupFailures.inc({ ip_family: event.family }),
    noLocalEndpoints: ({ family: ip_family, internal, external }) => {
      noLocalEndpoints.set({ ip_family, traffic_policy: 'internal' }, internal)
      noLocalEndpoints.set({ ip_family, traffic_policy: 'external' }, external)
    },
    pendingChanges: (event) => {
      services.pending.set(event.services)
      endpoints.pending.set(event.endpoints)
      countTo.services(event.servicesTotal)
      countTo.endpoints(event.endpointsTotal)
    },
    countProbe: (path, code) => probes[path].inc({ code: String(code) }),
  }
}

/** Raises a counter to a total that is counted elsewhere; a total that fell has begun anew. */
const growing = (counter: Counter): ((total: number) => void) => {
  let last = 0
  return (total) => {
    counter.inc(total >= last ? total - last : total)
    last = total
  }
}

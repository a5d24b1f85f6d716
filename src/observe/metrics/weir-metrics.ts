import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import type { SyncObserver } from '../../sync/events.ts'
import { stageBuckets } from './buckets.ts'

/** What a source tells about its connection to where objects come from, per resource (`services`, …). */
export interface SourceMetrics {
  connected(resource: string): void
  disconnected(resource: string): void
  /** A watch was opened again where it had ended. */
  reconnected(resource: string): void
  /** Everything was listed again, because the watch could not be continued. */
  relisted(resource: string): void
}

export interface WeirMetrics extends Partial<SyncObserver> {
  readonly source: SourceMetrics
}

/**
 * What kube-proxy does not tell. Labels hold only names from small fixed sets: families, stages, tables, error codes.
 * Which object and which field a problem is about is in the log, not in a label.
 */
export const weirMetrics = (registry: Registry): WeirMetrics => {
  const registers = [registry]
  const stages = new Histogram({
    name: 'weir_sync_stage_duration_seconds',
    help: 'Duration of one stage of a successful sync: desired (what the node must do), plan (what to write), apply (writing it)',
    labelNames: ['ip_family', 'stage'],
    buckets: stageBuckets,
    registers,
  })
  const counter = <L extends string>(name: string, help: string, labelNames: readonly L[]): Counter<L> =>
    new Counter({ name: `weir_${name}`, help, labelNames, registers })
  const gauge = <L extends string>(name: string, help: string, labelNames: readonly L[]): Gauge<L> =>
    new Gauge({ name: `weir_${name}`, help, labelNames, registers })

  const commits = counter('commits_total', 'Successful syncs; structure: chains, sets or rules were written too', [
    'ip_family',
    'kind',
    'structure',
  ])
  const written = counter('elements_written_total', 'Elements, rules or servers written, by operation', [
    'ip_family',
    'op',
  ])
  const errors = counter('sync_errors_total', 'Failed syncs by error code', ['ip_family', 'code'])
  const cleanupErrors = counter('cleanup_errors_total', 'Failed removals of stale state by error code', [
    'ip_family',
    'code',
  ])
  const flowErrors = counter(
    'conntrack_reconciler_errors_total',
    'Failed searches of the conntrack table for stale flows, by error code',
    ['ip_family', 'code'],
  )
  const elements = gauge('elements', 'Elements, rules or servers that are ours in the kernel, by table, set or map', [
    'ip_family',
    'table',
  ])
  const drift = counter('drift_repairs_total', 'Times the kernel differed from what was applied and was put right', [
    'ip_family',
    'reason',
  ])
  const rejected = counter(
    'rejected_objects_total',
    'Objects, or parts of them, that were refused; the log names them',
    ['kind'],
  )
  const connected = gauge('source_connected', '1 while changes of this resource reach us', ['resource'])
  const reconnects = counter('source_reconnects_total', 'Watches opened again', ['resource'])
  const relists = counter('source_relists_total', 'Full lists after the first', ['resource'])
  const tables = new Map<string, ReadonlySet<string>>()

  return {
    applied: ({ family: ip_family, kind, structure, stages: { desiredMs, planMs, applyMs }, added, removed }) => {
      stages.observe({ ip_family, stage: 'desired' }, desiredMs / 1_000)
      stages.observe({ ip_family, stage: 'plan' }, planMs / 1_000)
      stages.observe({ ip_family, stage: 'apply' }, applyMs / 1_000)
      commits.inc({ ip_family, kind, structure: String(structure) })
      written.inc({ ip_family, op: 'add' }, added)
      written.inc({ ip_family, op: 'remove' }, removed)
    },
    failed: ({ family: ip_family, code }) => errors.inc({ ip_family, code }),
    flowsFailed: ({ family: ip_family, code }) => flowErrors.inc({ ip_family, code }),
    cleanupFailed: ({ family: ip_family, code }) => cleanupErrors.inc({ ip_family, code }),
    driftRepaired: ({ family: ip_family, reason }) => drift.inc({ ip_family, reason }),
    problem: ({ problem }) => rejected.inc({ kind: problem.object.kind }),
    elements: ({ family: ip_family, counts }) => {
      for (const [table, count] of counts) elements.set({ ip_family, table }, count)
      for (const table of tables.get(ip_family) ?? []) if (!counts.has(table)) elements.remove({ ip_family, table })
      tables.set(ip_family, new Set(counts.keys()))
    },
    source: {
      connected: (resource) => connected.set({ resource }, 1),
      disconnected: (resource) => connected.set({ resource }, 0),
      reconnected: (resource) => reconnects.inc({ resource }),
      relisted: (resource) => relists.inc({ resource }),
    },
  }
}

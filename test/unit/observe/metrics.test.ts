import { describe, expect, test } from 'vitest'
import type { ProxyMode } from '../../../src/observe/metrics/kube-proxy-metrics.ts'
import { createMetrics, type Metrics } from '../../../src/observe/metrics/metrics.ts'
import { combineObservers, type SyncObserver } from '../../../src/sync/events.ts'
import { kubeProxySeries, weirSeries } from './kube-proxy-series.ts'
import { applied, failed, flowsFailed } from './support/events.ts'
import { parseExposition } from './support/exposition.ts'
import { FakeClock } from './support/fake-clock.ts'

const start = '2024-03-01T12:00:00Z'
const seconds = Date.parse(start) / 1_000

const setUp = (mode: ProxyMode = 'nftables'): { metrics: Metrics; tell: SyncObserver; clock: FakeClock } => {
  const clock = new FakeClock(start)
  const metrics = createMetrics(mode, { version: '1.2.3', commit: 'abc' }, clock)
  const tell = combineObservers(metrics.observers, (cause) => {
    throw cause
  })
  return { metrics, tell, clock }
}

/** Makes every series appear once. */
const everything = ({ metrics, tell }: ReturnType<typeof setUp>): void => {
  const at = Date.parse(start)
  tell.loopStarted({ family: 'IPv4', at })
  tell.queued({ family: 'IPv4', at })
  tell.applied(applied({ kind: 'full', at: at + 5, endpointTriggers: [at + 1] }))
  tell.applied(applied({ kind: 'partial', at: at + 5, rulesWritten: new Map([['nat', 2]]) }))
  tell.failed(failed())
  tell.flowsReconciled({ family: 'IPv4', durationMs: 2, deleted: 3, at })
  tell.flowsFailed(flowsFailed())
  tell.cleanupFailed({ family: 'IPv4', code: 'busy', op: 'delete chain', message: 'busy', at })
  tell.driftRepaired({ family: 'IPv4', reason: 'tableDeleted', added: 1, removed: 0 })
  tell.noLocalEndpoints({ family: 'IPv4', internal: 1, external: 2 })
  tell.elements({ family: 'IPv4', counts: new Map([['endpoints', 3]]) })
  tell.pendingChanges({ services: 1, endpoints: 2, servicesTotal: 3, endpointsTotal: 4 })
  tell.problem({
    problem: { object: { kind: 'Service', namespace: 'a', name: 'b' }, field: 'spec.ports[0].port', reason: 'bad' },
    source: 'source',
  })
  metrics.countProbe('healthz', 503)
  metrics.countProbe('livez', 200)
  metrics.source.connected('services')
  metrics.source.reconnected('services')
  metrics.source.relisted('services')
}

/** The samples of one family, without comments. */
const samples = async ({ registry }: Metrics, name: string): Promise<readonly string[]> => {
  const text = await registry.getSingleMetricAsString(name)
  return text.split('\n').filter((line) => !line.startsWith('#'))
}

describe.each(['nftables', 'iptables', 'ipvs', 'userspace'] as const)('mode %s', (mode) => {
  test('has exactly the series of kube-proxy that belong to it', async () => {
    const scene = setUp(mode)
    everything(scene)
    if (mode === 'iptables') scene.metrics.countPackets(async () => ({ invalidDropped: 1, localhostAccepted: 2 }))
    const exposed = parseExposition(await scene.metrics.registry.metrics())
    const expected = kubeProxySeries.filter(({ modes }) => modes?.includes(mode) ?? true)
    expect([...exposed.keys()].filter((name) => name.startsWith('kubeproxy_')).sort()).toEqual(
      expected.map(({ name }) => name).sort(),
    )
    for (const { name, help, type, labels, buckets = [] } of expected) {
      expect({ name, ...exposed.get(name) }).toEqual({ name, help, type, labels: [...labels].sort(), buckets })
    }
  })

  test('has our own series', async () => {
    const scene = setUp(mode)
    everything(scene)
    const exposed = parseExposition(await scene.metrics.registry.metrics())
    expect([...exposed.keys()].filter((name) => name.startsWith('weir_')).sort()).toEqual(
      weirSeries.map(({ name }) => name).sort(),
    )
    for (const { name, type, labels } of weirSeries) {
      expect({ name, ...exposed.get(name) }).toMatchObject({ name, type, labels: [...labels].sort() })
      expect(exposed.get(name)?.help).not.toBe('')
    }
  })
})

test('the process and Node.js are measured', async () => {
  const names = parseExposition(await setUp().metrics.registry.metrics())
  for (const name of [
    'process_cpu_seconds_total',
    'process_resident_memory_bytes',
    'process_open_fds',
    'process_max_fds',
    'process_start_time_seconds',
    'nodejs_eventloop_lag_p99_seconds',
  ]) {
    expect(names.has(name), name).toBe(true)
  }
})

test('two sets of metrics do not share a registry', async () => {
  const [one, two] = [setUp(), setUp()]
  one.tell.failed(failed())
  expect(await samples(one.metrics, 'weir_sync_errors_total')).toHaveLength(1)
  expect(await samples(two.metrics, 'weir_sync_errors_total')).toHaveLength(0)
})

test('stage buckets begin at 10 µs', async () => {
  const scene = setUp()
  everything(scene)
  const { buckets } = parseExposition(await scene.metrics.registry.metrics()).get(
    'weir_sync_stage_duration_seconds',
  ) ?? { buckets: [] }
  expect(buckets).toEqual([
    0.00001, 0.00002, 0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5,
    10,
  ])
})

describe('values', () => {
  test('a search for stale flows counts what it deleted, also when it failed half-way', async () => {
    const { metrics, tell } = setUp()
    tell.flowsReconciled({ family: 'IPv4', durationMs: 1_500, deleted: 3, at: 0 })
    tell.flowsFailed(flowsFailed({ durationMs: 500, deleted: 2, code: 'busy' }))
    expect(await samples(metrics, 'kubeproxy_conntrack_reconciler_deleted_entries_total')).toEqual([
      'kubeproxy_conntrack_reconciler_deleted_entries_total{ip_family="IPv4"} 5',
    ])
    const duration = await samples(metrics, 'kubeproxy_conntrack_reconciler_sync_duration_seconds')
    expect(duration.filter((line) => /_(sum|count)\{/.test(line))).toEqual([
      'kubeproxy_conntrack_reconciler_sync_duration_seconds_sum{ip_family="IPv4"} 2',
      'kubeproxy_conntrack_reconciler_sync_duration_seconds_count{ip_family="IPv4"} 2',
    ])
    expect(await samples(metrics, 'weir_conntrack_reconciler_errors_total')).toEqual([
      'weir_conntrack_reconciler_errors_total{ip_family="IPv4",code="busy"} 1',
    ])
  })

  test('a sync counts by kind, whether it succeeds or fails', async () => {
    const { metrics, tell } = setUp()
    tell.applied(applied({ kind: 'full', durationMs: 1_500 }))
    tell.applied(applied({ kind: 'partial', durationMs: 0.75 }))
    tell.failed(failed({ kind: 'partial', durationMs: 3 }))
    const sum = async (name: string): Promise<readonly string[]> =>
      (await samples(metrics, `kubeproxy_${name}`)).filter((line) => /_(sum|count)\{/.test(line))
    expect(await sum('sync_proxy_rules_duration_seconds')).toEqual([
      'kubeproxy_sync_proxy_rules_duration_seconds_sum{ip_family="IPv4"} 1.50375',
      'kubeproxy_sync_proxy_rules_duration_seconds_count{ip_family="IPv4"} 3',
    ])
    expect(await sum('sync_full_proxy_rules_duration_seconds')).toEqual([
      'kubeproxy_sync_full_proxy_rules_duration_seconds_sum{ip_family="IPv4"} 1.5',
      'kubeproxy_sync_full_proxy_rules_duration_seconds_count{ip_family="IPv4"} 1',
    ])
    expect(await sum('sync_partial_proxy_rules_duration_seconds')).toEqual([
      'kubeproxy_sync_partial_proxy_rules_duration_seconds_sum{ip_family="IPv4"} 0.00375',
      'kubeproxy_sync_partial_proxy_rules_duration_seconds_count{ip_family="IPv4"} 2',
    ])
    expect(await samples(metrics, 'kubeproxy_sync_proxy_rules_nftables_sync_failures_total')).toEqual([
      'kubeproxy_sync_proxy_rules_nftables_sync_failures_total{ip_family="IPv4"} 1',
    ])
  })

  test('only a success moves the last timestamp; the loop and changes move the queued one', async () => {
    const { metrics, tell } = setUp()
    const at = Date.parse(start)
    tell.loopStarted({ family: 'IPv6', at })
    tell.queued({ family: 'IPv6', at: at + 250 })
    tell.applied(applied({ family: 'IPv6', at: at + 500 }))
    tell.failed(failed({ family: 'IPv6', at: at + 900 }))
    expect(await samples(metrics, 'kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds')).toEqual([
      `kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds{ip_family="IPv6"} ${seconds + 0.25}`,
    ])
    expect(await samples(metrics, 'kubeproxy_sync_proxy_rules_last_timestamp_seconds')).toEqual([
      `kubeproxy_sync_proxy_rules_last_timestamp_seconds{ip_family="IPv6"} ${seconds + 0.5}`,
    ])
  })

  test('network programming counts each trigger since the start, skewed clocks included', async () => {
    const { metrics, tell } = setUp()
    const at = Date.parse(start)
    tell.applied(applied({ at: at + 10_000, endpointTriggers: [at - 1, at, at + 9_800, at + 8_000, at + 60_000] }))
    const lines = await samples(metrics, 'kubeproxy_network_programming_duration_seconds')
    const bucket = (le: string): string | undefined =>
      lines.find((line) => line.includes(`le="${le}",ip_family="IPv4"`))?.split(' ')[1]
    expect([bucket('0'), bucket('0.25'), bucket('1'), bucket('2'), bucket('+Inf')]).toEqual(['1', '2', '2', '3', '3'])
  })

  test('totals of changes follow a count kept elsewhere, which may begin anew', async () => {
    const { metrics, tell } = setUp()
    const total = async (): Promise<readonly string[]> => [
      ...(await samples(metrics, 'kubeproxy_sync_proxy_rules_service_changes_total')),
      ...(await samples(metrics, 'kubeproxy_sync_proxy_rules_endpoint_changes_total')),
      ...(await samples(metrics, 'kubeproxy_sync_proxy_rules_endpoint_changes_pending')),
    ]
    tell.pendingChanges({ services: 2, endpoints: 5, servicesTotal: 2, endpointsTotal: 5 })
    tell.pendingChanges({ services: 0, endpoints: 1, servicesTotal: 2, endpointsTotal: 9 })
    tell.pendingChanges({ services: 0, endpoints: 0, servicesTotal: 1, endpointsTotal: 9 })
    expect(await total()).toEqual([
      'kubeproxy_sync_proxy_rules_service_changes_total 3',
      'kubeproxy_sync_proxy_rules_endpoint_changes_total 9',
      'kubeproxy_sync_proxy_rules_endpoint_changes_pending 0',
    ])
  })

  test('a table that is gone takes its element count with it, in its own family only', async () => {
    const { metrics, tell } = setUp()
    const both = new Map([
      ['endpoints', 8],
      ['affinity-5', 1],
    ])
    tell.elements({ family: 'IPv4', counts: both })
    tell.elements({ family: 'IPv6', counts: both })
    tell.elements({ family: 'IPv4', counts: new Map([['endpoints', 9]]) })
    expect((await samples(metrics, 'weir_elements')).toSorted()).toEqual([
      'weir_elements{ip_family="IPv4",table="endpoints"} 9',
      'weir_elements{ip_family="IPv6",table="affinity-5"} 1',
      'weir_elements{ip_family="IPv6",table="endpoints"} 8',
    ])
  })

  test('rules of iptables count by table, as last written and as they are', async () => {
    const { metrics, tell } = setUp('iptables')
    const rules = (nat: number): ReadonlyMap<string, number> =>
      new Map([
        ['filter', 3],
        ['nat', nat],
        ['mangle', 0],
        ['WEIR-4-CLUSTER-IP', 9],
      ])
    tell.elements({ family: 'IPv6', counts: rules(40) })
    tell.applied(applied({ family: 'IPv6', kind: 'full', rulesWritten: rules(38) }))
    tell.applied(applied({ family: 'IPv6', rulesWritten: new Map([['nat', 2]]) }))
    const of = async (name: string): Promise<readonly string[]> =>
      (await samples(metrics, `kubeproxy_sync_proxy_rules_iptables_${name}`)).toSorted()
    expect(await of('total')).toEqual([
      'kubeproxy_sync_proxy_rules_iptables_total{table="filter",ip_family="IPv6"} 3',
      'kubeproxy_sync_proxy_rules_iptables_total{table="nat",ip_family="IPv6"} 40',
    ])
    expect(await of('last')).toEqual([
      'kubeproxy_sync_proxy_rules_iptables_last{table="filter",ip_family="IPv6"} 0',
      'kubeproxy_sync_proxy_rules_iptables_last{table="nat",ip_family="IPv6"} 2',
    ])
  })

  test('failed restores count, partial ones twice', async () => {
    const { metrics, tell } = setUp('iptables')
    tell.failed(failed({ kind: 'full' }))
    tell.failed(failed({ kind: 'partial' }))
    const of = (name: string) => samples(metrics, `kubeproxy_sync_proxy_rules_iptables_${name}_failures_total`)
    expect(await of('restore')).toEqual([expect.stringMatching(/\{ip_family="IPv4"\} 2$/)])
    expect(await of('partial_restore')).toEqual([expect.stringMatching(/\{ip_family="IPv4"\} 1$/)])
  })

  test('packets are read at each scrape, and absent when they cannot be', async () => {
    const { metrics } = setUp('iptables')
    let packets: { invalidDropped: bigint; localhostAccepted: bigint } | undefined
    let broken = false
    metrics.countPackets(async () => {
      if (broken) throw new Error('no')
      return packets
    })
    const scrape = async (): Promise<readonly string[]> => [
      ...(await samples(metrics, 'kubeproxy_iptables_ct_state_invalid_dropped_packets_total')),
      ...(await samples(metrics, 'kubeproxy_iptables_localhost_nodeports_accepted_packets_total')),
    ]
    expect(await scrape()).toEqual([])
    packets = { invalidDropped: 7n, localhostAccepted: 0n }
    const both = [
      'kubeproxy_iptables_ct_state_invalid_dropped_packets_total 7',
      'kubeproxy_iptables_localhost_nodeports_accepted_packets_total 0',
    ]
    expect(await scrape()).toEqual(both)
    expect(await scrape()).toEqual(both)
    broken = true
    expect(await scrape()).toEqual([])
  })

  test('probes count by code', async () => {
    const { metrics } = setUp()
    metrics.countProbe('healthz', 200)
    metrics.countProbe('healthz', 200)
    metrics.countProbe('healthz', 503)
    expect(await samples(metrics, 'kubeproxy_proxy_healthz_total')).toEqual([
      'kubeproxy_proxy_healthz_total{code="200"} 2',
      'kubeproxy_proxy_healthz_total{code="503"} 1',
    ])
    expect(await samples(metrics, 'kubeproxy_proxy_livez_total')).toEqual([])
  })
})

/** kube-proxy 1.36's series as its users know them: what /metrics must show, by mode. */
export interface Series {
  readonly name: string
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly labels: readonly string[]
  /** undefined = every mode. */
  readonly modes?: readonly string[]
  readonly help: string
  /** Upper bounds without +Inf. */
  readonly buckets?: readonly number[]
}

// biome-ignore format: one bound after the other
const syncBounds = [0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024, 2.048, 4.096, 8.192, 16.384]

// biome-ignore format: one bound after the other
const networkBounds = [
  0, 0.25, 0.5,
  1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30,
  31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59,
  60, 65, 70, 75, 80, 85, 90, 95, 100, 105, 110, 115,
  120, 150, 180, 210, 240, 270, 300,
]

const family = ['ip_family']
const withPartialSync = ['nftables', 'iptables', 'userspace']

export const kubeProxySeries: readonly Series[] = [
  {
    name: 'kubeproxy_conntrack_reconciler_sync_duration_seconds',
    type: 'histogram',
    labels: family,
    help: '[ALPHA] ReconcileConntrackFlowsLatency latency in seconds',
    buckets: syncBounds,
  },
  {
    name: 'kubeproxy_conntrack_reconciler_deleted_entries_total',
    type: 'counter',
    labels: family,
    help: '[ALPHA] Cumulative conntrack flows deleted by conntrack reconciler',
  },
  {
    name: 'kubeproxy_sync_proxy_rules_duration_seconds',
    type: 'histogram',
    labels: family,
    help: '[ALPHA] SyncProxyRules latency in seconds',
    buckets: syncBounds,
  },
  {
    name: 'kubeproxy_sync_full_proxy_rules_duration_seconds',
    type: 'histogram',
    labels: family,
    modes: withPartialSync,
    help: '[ALPHA] SyncProxyRules latency in seconds for full resyncs',
    buckets: syncBounds,
  },
  {
    name: 'kubeproxy_sync_partial_proxy_rules_duration_seconds',
    type: 'histogram',
    labels: family,
    modes: withPartialSync,
    help: '[ALPHA] SyncProxyRules latency in seconds for partial resyncs',
    buckets: syncBounds,
  },
  {
    name: 'kubeproxy_network_programming_duration_seconds',
    type: 'histogram',
    labels: family,
    help: '[ALPHA] In Cluster Network Programming Latency in seconds',
    buckets: networkBounds,
  },
  {
    name: 'kubeproxy_sync_proxy_rules_last_timestamp_seconds',
    type: 'gauge',
    labels: family,
    help: '[ALPHA] The last time proxy rules were successfully synced',
  },
  {
    name: 'kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds',
    type: 'gauge',
    labels: family,
    help: '[ALPHA] The last time a sync of proxy rules was queued',
  },
  {
    name: 'kubeproxy_sync_proxy_rules_endpoint_changes_pending',
    type: 'gauge',
    labels: [],
    help: '[ALPHA] Pending proxy rules Endpoint changes',
  },
  {
    name: 'kubeproxy_sync_proxy_rules_endpoint_changes_total',
    type: 'counter',
    labels: [],
    help: '[ALPHA] Cumulative proxy rules Endpoint changes',
  },
  {
    name: 'kubeproxy_sync_proxy_rules_service_changes_pending',
    type: 'gauge',
    labels: [],
    help: '[ALPHA] Pending proxy rules Service changes',
  },
  {
    name: 'kubeproxy_sync_proxy_rules_service_changes_total',
    type: 'counter',
    labels: [],
    help: '[ALPHA] Cumulative proxy rules Service changes',
  },
  {
    name: 'kubeproxy_sync_proxy_rules_nftables_sync_failures_total',
    type: 'counter',
    labels: family,
    modes: ['nftables'],
    help: '[ALPHA] Cumulative proxy nftables sync failures',
  },
  {
    name: 'kubeproxy_sync_proxy_rules_nftables_cleanup_failures_total',
    type: 'counter',
    labels: family,
    modes: ['nftables'],
    help: '[ALPHA] Cumulative proxy nftables cleanup failures',
  },
  {
    name: 'kubeproxy_sync_proxy_rules_iptables_total',
    type: 'gauge',
    labels: ['ip_family', 'table'],
    modes: ['iptables'],
    help: '[ALPHA] Total number of iptables rules owned by kube-proxy',
  },
  {
    name: 'kubeproxy_sync_proxy_rules_iptables_last',
    type: 'gauge',
    labels: ['ip_family', 'table'],
    modes: ['iptables'],
    help: '[ALPHA] Number of iptables rules written by kube-proxy in last sync',
  },
  {
    name: 'kubeproxy_sync_proxy_rules_iptables_restore_failures_total',
    type: 'counter',
    labels: family,
    modes: ['iptables', 'ipvs'],
    help: '[ALPHA] Cumulative proxy iptables restore failures',
  },
  {
    name: 'kubeproxy_sync_proxy_rules_iptables_partial_restore_failures_total',
    type: 'counter',
    labels: family,
    modes: ['iptables'],
    help: '[ALPHA] Cumulative proxy iptables partial restore failures',
  },
  {
    name: 'kubeproxy_iptables_ct_state_invalid_dropped_packets_total',
    type: 'counter',
    labels: [],
    modes: ['iptables'],
    help: '[ALPHA] packets dropped by iptables to work around conntrack problems',
  },
  {
    name: 'kubeproxy_iptables_localhost_nodeports_accepted_packets_total',
    type: 'counter',
    labels: [],
    modes: ['iptables'],
    help: '[ALPHA] Number of packets accepted on nodeports of loopback interface',
  },
  {
    name: 'kubeproxy_sync_proxy_rules_no_local_endpoints_total',
    type: 'gauge',
    labels: ['ip_family', 'traffic_policy'],
    help: '[ALPHA] Number of services with a Local traffic policy and no endpoints',
  },
  {
    name: 'kubeproxy_proxy_healthz_total',
    type: 'counter',
    labels: ['code'],
    help: '[ALPHA] Cumulative proxy healthz HTTP status',
  },
  {
    name: 'kubeproxy_proxy_livez_total',
    type: 'counter',
    labels: ['code'],
    help: '[ALPHA] Cumulative proxy livez HTTP status',
  },
]

export const weirSeries: readonly Pick<Series, 'name' | 'type' | 'labels'>[] = [
  {
    name: 'weir_build_info',
    type: 'gauge',
    labels: ['version', 'git_commit', 'mode', 'node_version', 'platform'],
  },
  { name: 'weir_sync_stage_duration_seconds', type: 'histogram', labels: ['ip_family', 'stage'] },
  { name: 'weir_commits_total', type: 'counter', labels: ['ip_family', 'kind', 'structure'] },
  { name: 'weir_elements_written_total', type: 'counter', labels: ['ip_family', 'op'] },
  { name: 'weir_sync_errors_total', type: 'counter', labels: ['ip_family', 'code'] },
  { name: 'weir_cleanup_errors_total', type: 'counter', labels: ['ip_family', 'code'] },
  { name: 'weir_conntrack_reconciler_errors_total', type: 'counter', labels: ['ip_family', 'code'] },
  { name: 'weir_elements', type: 'gauge', labels: ['ip_family', 'table'] },
  { name: 'weir_drift_repairs_total', type: 'counter', labels: ['ip_family', 'reason'] },
  { name: 'weir_rejected_objects_total', type: 'counter', labels: ['kind'] },
  { name: 'weir_source_connected', type: 'gauge', labels: ['resource'] },
  { name: 'weir_source_reconnects_total', type: 'counter', labels: ['resource'] },
  { name: 'weir_source_relists_total', type: 'counter', labels: ['resource'] },
]

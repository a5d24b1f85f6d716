/** How a flag's text is read; the name of the kind is the type that `--help` shows. */
export type FlagKind =
  | 'string'
  | 'bool'
  | 'int32'
  | 'uint32'
  | 'float32'
  | 'duration'
  | 'strings'
  | 'directories'
  | 'gates'
  | 'ip'
  | 'ipport'
  | 'size'
  | 'vmodule'
  | 'family'
  | 'version'

export type FlagGroup =
  | 'General'
  | 'Kubernetes API'
  | 'Node and addresses'
  | 'Proxy mode'
  | 'Local traffic'
  | 'Conntrack'
  | 'IPVS'
  | 'Logging'
  | 'weir'
  | 'Windows'

export interface FlagSpec {
  readonly name: string
  readonly shorthand?: string
  readonly kind: FlagKind
  readonly group: FlagGroup
  /** As `--help` shows it; '' shows nothing. */
  readonly default: string
  readonly help: string
  /** The field of the configuration file that it sets, where there is one. */
  readonly field?: string
  /** With `--config` the flag still counts; every other flag is then ignored, as kube-proxy does. */
  readonly withConfig?: true
}

/**
 * Every flag of kube-proxy v1.36.2 (cmd/kube-proxy/app/options.go and the logging flags of component-base) and weir's
 * own. The parser, `--help` and the documentation test all read this table.
 */
// biome-ignore format: one flag, one row
export const flags = [
  { name: 'config', kind: 'string', group: 'General', default: '', help: 'KubeProxyConfiguration file. With it, flags that the file can express are ignored, except logging and --hostname-override.', withConfig: true },
  { name: 'write-config-to', kind: 'string', group: 'General', default: '', help: 'Write the effective configuration to this file and exit.', withConfig: true },
  { name: 'cleanup', kind: 'bool', group: 'General', default: 'false', help: 'Remove what weir and kube-proxy programmed and exit.', withConfig: true },
  { name: 'init-only', kind: 'bool', group: 'General', default: 'false', help: 'Do what needs full privileges and exit; the main container then needs NET_ADMIN only.', withConfig: true },
  { name: 'feature-gates', kind: 'gates', group: 'General', default: '', help: 'Feature gates as Name=true,Other=false.', field: 'featureGates' },
  { name: 'oom-score-adj', kind: 'int32', group: 'General', default: '-999', help: 'oom_score_adj of the process, -1000 to 1000.', field: 'oomScoreAdj' },
  { name: 'profiling', kind: 'bool', group: 'General', default: 'false', help: 'Serve profiles on the metrics address.', field: 'enableProfiling' },
  { name: 'show-hidden-metrics-for-version', kind: 'string', group: 'General', default: '', help: 'Show metrics that were hidden in this minor version, e.g. 1.35.', field: 'showHiddenMetricsForVersion' },
  { name: 'version', kind: 'version', group: 'General', default: '', help: 'Print the version and exit; --version=raw prints every detail.', withConfig: true },
  { name: 'kubeconfig', kind: 'string', group: 'Kubernetes API', default: '', help: 'kubeconfig file; without it and --master the in-cluster configuration is used.', field: 'clientConnection.kubeconfig' },
  { name: 'master', kind: 'string', group: 'Kubernetes API', default: '', help: 'Address of the API server; wins over the kubeconfig.', withConfig: true },
  { name: 'kube-api-content-type', kind: 'string', group: 'Kubernetes API', default: 'application/vnd.kubernetes.protobuf', help: 'Content type of API requests.', field: 'clientConnection.contentType' },
  { name: 'kube-api-qps', kind: 'float32', group: 'Kubernetes API', default: '5', help: 'API requests per second.', field: 'clientConnection.qps' },
  { name: 'kube-api-burst', kind: 'int32', group: 'Kubernetes API', default: '10', help: 'API requests that may go out at once.', field: 'clientConnection.burst' },
  { name: 'config-sync-period', kind: 'duration', group: 'Kubernetes API', default: '15m0s', help: 'How often everything is compared with the API again.', field: 'configSyncPeriod' },
  { name: 'hostname-override', kind: 'string', group: 'Node and addresses', default: '', help: "Name of this node's Node object; the host name without it.", field: 'hostnameOverride', withConfig: true },
  { name: 'bind-address', kind: 'ip', group: 'Node and addresses', default: '0.0.0.0', help: "Overrides the node's primary IP and family. No socket is bound to it.", field: 'bindAddress' },
  { name: 'bind-address-hard-fail', kind: 'bool', group: 'Node and addresses', default: 'false', help: 'Exit when the health or metrics address cannot be bound, rather than try again.', field: 'bindAddressHardFail' },
  { name: 'healthz-bind-address', kind: 'ipport', group: 'Node and addresses', default: '0.0.0.0:10256', help: 'Where /healthz and /livez are served, IP or IP:port.', field: 'healthzBindAddress' },
  { name: 'healthz-port', kind: 'int32', group: 'Node and addresses', default: '10256', help: 'Deprecated: port for a --healthz-bind-address without one; 0 switches the health server off.', field: 'healthzBindAddress' },
  { name: 'metrics-bind-address', kind: 'ipport', group: 'Node and addresses', default: '127.0.0.1:10249', help: 'Where /metrics is served, IP or IP:port.', field: 'metricsBindAddress' },
  { name: 'metrics-port', kind: 'int32', group: 'Node and addresses', default: '10249', help: 'Deprecated: port for a --metrics-bind-address without one.', field: 'metricsBindAddress' },
  { name: 'nodeport-addresses', kind: 'strings', group: 'Node and addresses', default: '', help: "CIDRs of node addresses that accept NodePorts, or 'primary' alone.", field: 'nodePortAddresses' },
  { name: 'proxy-mode', kind: 'string', group: 'Proxy mode', default: 'nftables', help: 'nftables, iptables, ipvs or userspace.', field: 'mode' },
  { name: 'masquerade-all', kind: 'bool', group: 'Proxy mode', default: 'false', help: 'SNAT everything that is sent to a ClusterIP.', field: 'nftables.masqueradeAll' },
  { name: 'iptables-masquerade-bit', kind: 'int32', group: 'Proxy mode', default: '14', help: 'Bit of the packet mark for SNAT in modes iptables and ipvs, 0 to 31.', field: 'iptables.masqueradeBit' },
  { name: 'iptables-localhost-nodeports', kind: 'bool', group: 'Proxy mode', default: 'true', help: 'Let NodePorts answer on 127.0.0.1 in mode iptables.', field: 'iptables.localhostNodePorts' },
  { name: 'iptables-sync-period', kind: 'duration', group: 'Proxy mode', default: '30s', help: 'How often the kernel is checked and a failed sync retried, in every mode but ipvs.', field: 'nftables.syncPeriod' },
  { name: 'iptables-min-sync-period', kind: 'duration', group: 'Proxy mode', default: '1s', help: 'Least time between two syncs, in every mode but ipvs. Unless it is set, weir syncs at once.', field: 'nftables.minSyncPeriod' },
  { name: 'detect-local-mode', kind: 'string', group: 'Local traffic', default: 'ClusterCIDR', help: 'How traffic of local pods is told: ClusterCIDR, NodeCIDR, BridgeInterface, InterfaceNamePrefix.', field: 'detectLocalMode' },
  { name: 'cluster-cidr', kind: 'string', group: 'Local traffic', default: '', help: 'CIDR of the pods, or one of each family separated by a comma.', field: 'clusterCIDR' },
  { name: 'pod-bridge-interface', kind: 'string', group: 'Local traffic', default: '', help: 'Bridge that pods are on, for BridgeInterface.', field: 'detectLocal.bridgeInterface' },
  { name: 'pod-interface-name-prefix', kind: 'string', group: 'Local traffic', default: '', help: 'What names of pod interfaces begin with, for InterfaceNamePrefix.', field: 'detectLocal.interfaceNamePrefix' },
  { name: 'conntrack-max-per-core', kind: 'int32', group: 'Conntrack', default: '32768', help: 'Connections to track per CPU; 0 leaves the limit alone.', field: 'conntrack.maxPerCore' },
  { name: 'conntrack-min', kind: 'int32', group: 'Conntrack', default: '131072', help: 'Least number of connections to track.', field: 'conntrack.min' },
  { name: 'conntrack-tcp-timeout-established', kind: 'duration', group: 'Conntrack', default: '24h0m0s', help: 'Idle timeout of established TCP connections; 0 leaves it alone.', field: 'conntrack.tcpEstablishedTimeout' },
  { name: 'conntrack-tcp-timeout-close-wait', kind: 'duration', group: 'Conntrack', default: '1h0m0s', help: 'Timeout of TCP connections in CLOSE_WAIT; 0 leaves it alone.', field: 'conntrack.tcpCloseWaitTimeout' },
  { name: 'conntrack-tcp-be-liberal', kind: 'bool', group: 'Conntrack', default: 'false', help: 'Take TCP packets outside the window as valid.', field: 'conntrack.tcpBeLiberal' },
  { name: 'conntrack-udp-timeout', kind: 'duration', group: 'Conntrack', default: '0s', help: 'Timeout of unanswered UDP flows; 0 leaves it alone.', field: 'conntrack.udpTimeout' },
  { name: 'conntrack-udp-timeout-stream', kind: 'duration', group: 'Conntrack', default: '0s', help: 'Timeout of answered UDP flows; 0 leaves it alone.', field: 'conntrack.udpStreamTimeout' },
  { name: 'ipvs-sync-period', kind: 'duration', group: 'IPVS', default: '30s', help: '--iptables-sync-period for mode ipvs.', field: 'ipvs.syncPeriod' },
  { name: 'ipvs-min-sync-period', kind: 'duration', group: 'IPVS', default: '1s', help: '--iptables-min-sync-period for mode ipvs.', field: 'ipvs.minSyncPeriod' },
  { name: 'ipvs-scheduler', kind: 'string', group: 'IPVS', default: '', help: 'Scheduler of Services that ask for none; rr without it.', field: 'ipvs.scheduler' },
  { name: 'ipvs-exclude-cidrs', kind: 'strings', group: 'IPVS', default: '', help: 'Virtual servers inside these CIDRs are left alone.', field: 'ipvs.excludeCIDRs' },
  { name: 'ipvs-strict-arp', kind: 'bool', group: 'IPVS', default: 'false', help: 'Set arp_ignore to 1 and arp_announce to 2.', field: 'ipvs.strictARP' },
  { name: 'ipvs-tcp-timeout', kind: 'duration', group: 'IPVS', default: '0s', help: 'Idle timeout of TCP connections; 0 leaves it alone.', field: 'ipvs.tcpTimeout' },
  { name: 'ipvs-tcpfin-timeout', kind: 'duration', group: 'IPVS', default: '0s', help: 'Timeout of TCP connections after a FIN; 0 leaves it alone.', field: 'ipvs.tcpFinTimeout' },
  { name: 'ipvs-udp-timeout', kind: 'duration', group: 'IPVS', default: '0s', help: 'Timeout of UDP flows; 0 leaves it alone.', field: 'ipvs.udpTimeout' },
  { name: 'v', shorthand: 'v', kind: 'uint32', group: 'Logging', default: '0', help: 'Verbosity.', field: 'logging.verbosity', withConfig: true },
  { name: 'vmodule', kind: 'vmodule', group: 'Logging', default: '', help: 'Verbosity by source file, as pattern=N,other=M.', field: 'logging.vmodule', withConfig: true },
  { name: 'logging-format', kind: 'string', group: 'Logging', default: 'text', help: 'text or json.', field: 'logging.format', withConfig: true },
  { name: 'log-flush-frequency', kind: 'duration', group: 'Logging', default: '5s', help: 'Longest time that a log line is held back.', field: 'logging.flushFrequency', withConfig: true },
  { name: 'log-text-split-stream', kind: 'bool', group: 'Logging', default: 'false', help: 'Alpha: errors to stderr, the rest to stdout.', field: 'logging.options.text.splitStream', withConfig: true },
  { name: 'log-text-info-buffer-size', kind: 'size', group: 'Logging', default: '0', help: 'Alpha: buffer for the stdout stream, e.g. 512 or 64Ki.', field: 'logging.options.text.infoBufferSize', withConfig: true },
  { name: 'log-json-split-stream', kind: 'bool', group: 'Logging', default: 'false', help: 'Alpha: the same for json.', field: 'logging.options.json.splitStream', withConfig: true },
  { name: 'log-json-info-buffer-size', kind: 'size', group: 'Logging', default: '0', help: 'Alpha: the same for json.', field: 'logging.options.json.infoBufferSize', withConfig: true },
  { name: 'manifests', kind: 'directories', group: 'weir', default: '', help: 'Folder of manifests to serve instead of a cluster; may be repeated.', withConfig: true },
  { name: 'once', kind: 'bool', group: 'weir', default: 'false', help: 'Sync once and exit; the rules stay.', withConfig: true },
  { name: 'service-proxy-name', kind: 'string', group: 'weir', default: '', help: 'Serve only Services whose label service.kubernetes.io/service-proxy-name has this value.', withConfig: true },
  { name: 'family', kind: 'family', group: 'weir', default: '', help: 'render: show one family only, ipv4 or ipv6.', withConfig: true },
  { name: 'iptables-variant', kind: 'string', group: 'weir', default: 'auto', help: 'Mode iptables: legacy or nft; auto takes the one that the node uses.', field: 'weir.iptables.variant' },
  { name: 'iptables-ipset', kind: 'bool', group: 'weir', default: 'false', help: "Mode iptables: let ipsets carry what need not be a rule per Service; without it the rules are kube-proxy's.", field: 'weir.iptables.ipset' },
  { name: 'iptables-dispatch', kind: 'string', group: 'weir', default: 'flat', help: "Mode iptables: flat, kube-proxy's rule after rule, or tree, which is as fast with many Services as with few.", field: 'weir.iptables.dispatch' },
  { name: 'userspace-threads', kind: 'int32', group: 'weir', default: '1', help: 'Mode userspace: threads that forward.', field: 'weir.userspace.threads' },
  { name: 'userspace-redirect', kind: 'string', group: 'weir', default: 'auto', help: 'Mode userspace: always or never let nftables lead traffic to the process; auto does where it can.', field: 'weir.userspace.redirect' },
  { name: 'userspace-port-range', kind: 'string', group: 'weir', default: '20000-29999', help: 'Mode userspace without redirection: loopback ports that stand for cluster IPs.', field: 'weir.userspace.portRange' },
  { name: 'userspace-connect-timeout', kind: 'duration', group: 'weir', default: '2s', help: 'Mode userspace: how long an endpoint may take to accept before the next one is tried.', field: 'weir.userspace.connectTimeout' },
  { name: 'userspace-tcp-idle-timeout', kind: 'duration', group: 'weir', default: '1h0m0s', help: 'Mode userspace: silence that ends a TCP connection; 0 never does.', field: 'weir.userspace.tcpIdleTimeout' },
  { name: 'userspace-udp-timeout', kind: 'duration', group: 'weir', default: '1m0s', help: 'Mode userspace: silence that ends a UDP session; 0 never does.', field: 'weir.userspace.udpTimeout' },
  { name: 'userspace-max-connections', kind: 'int32', group: 'weir', default: '0', help: 'Mode userspace: connections and UDP sessions at a time; 0 for as many as there are descriptors.', field: 'weir.userspace.maxConnections' },
  { name: 'userspace-drain-timeout', kind: 'duration', group: 'weir', default: '20s', help: 'Mode userspace: how long connections may go on once the process is told to end.', field: 'weir.userspace.drainTimeout' },
  { name: 'ipvs-drain-timeout', kind: 'duration', group: 'weir', default: '15m0s', help: 'Mode ipvs: how long a removed endpoint may keep its connections; 0 as long as they last.', field: 'weir.ipvs.drainTimeout' },
  { name: 'json', kind: 'bool', group: 'weir', default: 'false', help: 'status: print JSON.', withConfig: true },
  { name: 'network-name', kind: 'string', group: 'Windows', default: '', help: 'For Windows.', field: 'winkernel.networkName' },
  { name: 'source-vip', kind: 'string', group: 'Windows', default: '', help: 'For Windows.', field: 'winkernel.sourceVip' },
  { name: 'enable-dsr', kind: 'bool', group: 'Windows', default: 'false', help: 'For Windows.', field: 'winkernel.enableDSR' },
  { name: 'root-hnsendpoint-name', kind: 'string', group: 'Windows', default: '', help: 'For Windows.', field: 'winkernel.rootHnsEndpointName' },
  { name: 'forward-healthcheck-vip', kind: 'bool', group: 'Windows', default: 'false', help: 'For Windows.', field: 'winkernel.forwardHealthCheckVip' },
  { name: 'windows-service', kind: 'bool', group: 'Windows', default: 'false', help: 'For Windows.', field: 'windowsRunAsService' },
] as const satisfies readonly FlagSpec[]

export type Flag = (typeof flags)[number]
export type FlagName = Flag['name']

/**
 * Flags of earlier releases and of libraries that kube-proxy links, accepted so that old manifests keep working.
 * `bool` ones take no separate value.
 */
export const ignoredFlags: ReadonlyMap<string, 'bool' | 'string'> = new Map([
  ['add-dir-header', 'bool'],
  ['alsologtostderr', 'bool'],
  ['boot-id-file', 'string'],
  ['cleanup-iptables', 'bool'],
  ['cleanup-ipvs', 'bool'],
  ['log-backtrace-at', 'string'],
  ['log-dir', 'string'],
  ['log-file', 'string'],
  ['log-file-max-size', 'string'],
  ['logtostderr', 'bool'],
  ['machine-id-file', 'string'],
  ['one-output', 'bool'],
  ['proxy-port-range', 'string'],
  ['skip-headers', 'bool'],
  ['skip-log-headers', 'bool'],
  ['stderrthreshold', 'string'],
  ['udp-timeout', 'string'],
])

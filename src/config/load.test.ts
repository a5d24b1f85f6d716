import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseCommandLine } from './command-line.ts'
import type { Config } from './config.ts'
import { ConfigError, type Issue } from './config-error.ts'
import { effectiveConfiguration, toYaml } from './effective.ts'
import { formatGoDuration, nanoseconds } from './go-duration.ts'
import { type LoadedConfig, loadConfig } from './load.ts'
import { nodePortSelection } from './node-port-selection.ts'

const header = 'kind: KubeProxyConfiguration\napiVersion: kubeproxy.config.k8s.io/v1alpha1\n'
const byFile = (body: string, ...argv: readonly string[]): LoadedConfig =>
  loadConfig(parseCommandLine(['--config=/etc/weir.yaml', ...argv]), header + body)
const byFlags = (...argv: readonly string[]): LoadedConfig => loadConfig(parseCommandLine(argv), undefined)

const failure = (load: () => unknown): ConfigError => {
  try {
    load()
  } catch (error) {
    if (error instanceof ConfigError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}
const issuesOf = (load: () => unknown): readonly Issue[] => failure(load).issues
const fieldsOf = (load: () => unknown): readonly string[] => issuesOf(load).map(({ field }) => field)

describe('defaults', () => {
  test('without anything', () => {
    const { config, warnings } = byFlags()
    expect(warnings).toEqual(["mode is not set: using nftables (kube-proxy's default is iptables)"])
    expect(config).toMatchObject({
      action: 'run',
      mode: 'nftables',
      requestedMode: '',
      hostnameOverride: undefined,
      bindAddress: '0.0.0.0',
      nodeIPOverride: undefined,
      healthz: { ip: '0.0.0.0', port: 10256 },
      metrics: { ip: '127.0.0.1', port: 10249 },
      bindAddressHardFail: false,
      profiling: false,
      syncPeriodMs: 30_000,
      minSyncPeriodMs: 1_000,
      minSyncPeriodExplicit: false,
      masqueradeAll: false,
      masqueradeBit: 14,
      detectLocal: { mode: 'ClusterCIDR', clusterCidrs: [], bridgeInterface: '', interfaceNamePrefix: '' },
      nodePortAddresses: { kind: 'unset' },
      featureGates: {},
      allowExternalIPs: true,
      client: { kubeconfig: '', master: '', qps: 5, burst: 10, contentType: 'application/vnd.kubernetes.protobuf' },
      configSyncPeriodMs: 900_000,
      conntrack: {
        maxPerCore: 32768,
        min: 131072,
        tcpEstablishedTimeoutMs: 86_400_000,
        tcpCloseWaitTimeoutMs: 3_600_000,
        tcpBeLiberal: false,
        udpTimeoutMs: 0,
        udpStreamTimeoutMs: 0,
      },
      oomScoreAdj: -999,
      logging: { format: 'text', verbosity: 0, vmodule: [], flushFrequencyMs: 5_000 },
      iptables: { masqueradeBit: 14, localhostNodePorts: true },
      ipvs: { scheduler: '', excludeCidrs: [], strictArp: false },
      configFile: undefined,
      writeConfigTo: undefined,
      manifests: [],
      once: false,
      serviceProxyName: undefined,
    })
  })

  test('an empty file says the same, apart from its path', () => {
    expect(byFile('').config).toEqual({
      ...byFlags().config,
      configFile: '/etc/weir.yaml',
      effective: expect.anything(),
    })
  })

  // What kubeadm writes into its ConfigMap.
  test('the ConfigMap of kubeadm is read without a complaint', () => {
    const { config, warnings } = byFile(`bindAddress: 0.0.0.0
bindAddressHardFail: false
clientConnection:
  acceptContentTypes: ""
  burst: 0
  contentType: ""
  kubeconfig: /var/lib/kube-proxy/kubeconfig.conf
  qps: 0
clusterCIDR: 10.244.0.0/16
configSyncPeriod: 0s
conntrack:
  maxPerCore: null
  min: null
  tcpBeLiberal: false
  tcpCloseWaitTimeout: null
  tcpEstablishedTimeout: null
  udpStreamTimeout: 0s
  udpTimeout: 0s
detectLocal:
  bridgeInterface: ""
  interfaceNamePrefix: ""
detectLocalMode: ""
enableProfiling: false
healthzBindAddress: ""
hostnameOverride: ""
iptables:
  localhostNodePorts: null
  masqueradeAll: false
  masqueradeBit: null
  minSyncPeriod: 0s
  syncPeriod: 0s
ipvs:
  excludeCIDRs: null
  minSyncPeriod: 0s
  scheduler: ""
  strictARP: false
  syncPeriod: 0s
  tcpFinTimeout: 0s
  tcpTimeout: 0s
  udpTimeout: 0s
logging:
  flushFrequency: 0
  options:
    json:
      infoBufferSize: "0"
    text:
      infoBufferSize: "0"
  verbosity: 0
metricsBindAddress: ""
mode: "nftables"
nftables:
  masqueradeAll: false
  masqueradeBit: null
  minSyncPeriod: 0s
  syncPeriod: 0s
nodePortAddresses: null
oomScoreAdj: null
portRange: ""
showHiddenMetricsForVersion: ""
winkernel:
  enableDSR: false
  forwardHealthCheckVip: false
  networkName: ""
  rootHnsEndpointName: ""
  sourceVip: ""
`)
    expect(warnings).toEqual([])
    expect(config).toMatchObject({
      client: { kubeconfig: '/var/lib/kube-proxy/kubeconfig.conf', qps: 5, burst: 10 },
      detectLocal: { mode: 'ClusterCIDR', clusterCidrs: ['10.244.0.0/16'] },
      syncPeriodMs: 30_000,
      minSyncPeriodExplicit: false,
      oomScoreAdj: -999,
      configSyncPeriodMs: 900_000,
    })
  })

  test('an IPv6 bindAddress in the file moves the servers to IPv6', () => {
    const { config } = byFile('bindAddress: fd00::1\n')
    expect(config.healthz).toEqual({ ip: '::', port: 10256 })
    expect(config.metrics).toEqual({ ip: '::1', port: 10249 })
    expect(config.nodeIPOverride).toBe('fd00::1')
  })

  test('given as a flag it does not', () => {
    const { config } = byFlags('--bind-address=::')
    expect(config.healthz).toEqual({ ip: '0.0.0.0', port: 10256 })
    expect(config.bindAddress).toBe('::')
    expect(config.nodeIPOverride).toBeUndefined()
  })

  test.each([
    ['healthzBindAddress: 1.2.3.4', { healthz: { ip: '1.2.3.4', port: 10256 } }],
    ['healthzBindAddress: "::1"', { healthz: { ip: '::1', port: 10256 } }],
    ['healthzBindAddress: "[::1]:1"', { healthz: { ip: '::1', port: 1 } }],
    ['metricsBindAddress: 1.2.3.4', { metrics: { ip: '1.2.3.4', port: 10249 } }],
    ['metricsBindAddress: ""', { metrics: { ip: '127.0.0.1', port: 10249 } }],
  ])('%s', (line, expected) => {
    expect(byFile(`${line}\n`).config).toMatchObject(expected)
  })

  test('leading zeros of IPv4 are decimal', () => {
    expect(byFile('bindAddress: 010.001.0.09\nclusterCIDR: 010.0.0.0/8\n').config).toMatchObject({
      bindAddress: '10.1.0.9',
      detectLocal: { clusterCidrs: ['10.0.0.0/8'] },
    })
  })
})

describe('minSyncPeriod', () => {
  test.each([
    ['mode: nftables\nnftables: {minSyncPeriod: 0s}', 1_000, false],
    ['mode: nftables\nnftables: {minSyncPeriod: 1s}', 1_000, true],
    ['mode: nftables\niptables: {minSyncPeriod: 5s}', 1_000, false],
    ['nftables: {minSyncPeriod: 2s}', 2_000, true],
    ['mode: iptables\niptables: {minSyncPeriod: 5s}', 5_000, true],
    ['mode: iptables\niptables: {minSyncPeriod: 0s}', 1_000, false],
    ['mode: ipvs', 0, false],
    ['mode: ipvs\nipvs: {minSyncPeriod: 0s}', 0, false],
    ['mode: ipvs\nipvs: {minSyncPeriod: 3s}', 3_000, true],
  ])('%j', (body, ms, explicit) => {
    expect(byFile(`${body}\n`).config).toMatchObject({ minSyncPeriodMs: ms, minSyncPeriodExplicit: explicit })
  })

  test.each([
    [[], 1_000, false],
    [['--iptables-min-sync-period=0'], 0, true],
    [['--iptables-min-sync-period=7s'], 7_000, true],
    [['--ipvs-min-sync-period=7s'], 1_000, false],
    [['--proxy-mode=ipvs'], 1_000, false],
    [['--proxy-mode=ipvs', '--ipvs-min-sync-period=7s'], 7_000, true],
    [['--proxy-mode=ipvs', '--iptables-min-sync-period=7s'], 1_000, false],
    [['--proxy-mode=iptables', '--iptables-min-sync-period=7s'], 7_000, true],
  ])('%j', (argv, ms, explicit) => {
    expect(byFlags(...argv).config).toMatchObject({ minSyncPeriodMs: ms, minSyncPeriodExplicit: explicit })
  })
})

describe('the section of the mode decides', () => {
  const sections = `iptables: {masqueradeAll: true, masqueradeBit: 3, syncPeriod: 10s}
nftables: {masqueradeBit: 4, syncPeriod: 20s}
ipvs: {syncPeriod: 40s}
`
  test.each([
    ['', false, 4, 20_000],
    ['nftables', false, 4, 20_000],
    ['iptables', true, 3, 10_000],
    ['ipvs', true, 3, 40_000],
  ])('mode %j', (mode, masqueradeAll, masqueradeBit, syncPeriodMs) => {
    const { config } = byFile(`mode: "${mode}"\n${sections}`)
    expect(config).toMatchObject({ mode: 'nftables', requestedMode: mode, masqueradeAll, masqueradeBit, syncPeriodMs })
  })

  test.each(['nftables', 'iptables', 'ipvs'])('--masquerade-all counts in mode %s', (mode) => {
    expect(byFlags(`--proxy-mode=${mode}`, '--masquerade-all').config.masqueradeAll).toBe(true)
  })

  test.each([
    ['nftables', '--iptables-sync-period=9s', 9_000],
    ['iptables', '--iptables-sync-period=9s', 9_000],
    ['ipvs', '--iptables-sync-period=9s', 30_000],
    ['ipvs', '--ipvs-sync-period=9s', 9_000],
    ['nftables', '--ipvs-sync-period=9s', 30_000],
  ])('mode %s with %s', (mode, flag, ms) => {
    expect(byFlags(`--proxy-mode=${mode}`, flag).config.syncPeriodMs).toBe(ms)
  })
})

describe('flags and file', () => {
  test('the file wins, and every overruled flag is named', () => {
    const { config, warnings } = byFile(
      'mode: nftables\noomScoreAdj: -5\n',
      '--oom-score-adj=7',
      '--cluster-cidr=10.0.0.0/8',
    )
    expect(config.oomScoreAdj).toBe(-5)
    expect(config.detectLocal.clusterCidrs).toEqual([])
    expect(warnings).toEqual([
      '--oom-score-adj is ignored because --config is given',
      '--cluster-cidr is ignored because --config is given',
    ])
  })

  test('what still counts beside a file', () => {
    const { config, warnings } = byFile(
      'mode: nftables\nhostnameOverride: of-file\nlogging: {verbosity: 1, format: text, vmodule: [{filePattern: b, verbosity: 2}]}\n',
      '--hostname-override= Of-Flag ',
      '-v5',
      '--vmodule=a=1',
      '--master=https://api',
      '--init-only',
      '--manifests=m',
      '--once',
      '--service-proxy-name=mine',
    )
    expect(config).toMatchObject({
      action: 'init-only',
      configFile: '/etc/weir.yaml',
      hostnameOverride: 'of-flag',
      client: { master: 'https://api' },
      logging: { verbosity: 5, vmodule: [{ filePattern: 'a' }, { filePattern: 'b' }] },
      manifests: ['m'],
      once: true,
      serviceProxyName: 'mine',
    })
    expect(warnings).toEqual(['--vmodule is accepted, but weir does not act on it yet'])
  })

  test('the hostname of the file is trimmed and lower-cased too', () => {
    expect(byFile('hostnameOverride: " NODE-1 "\n').config).toMatchObject({
      hostnameOverride: 'node-1',
      effective: { hostnameOverride: 'node-1' },
    })
  })

  test('a blank hostname is an error from either', () => {
    expect(failure(() => byFlags('--hostname-override=  ')).message).toBe('--hostname-override must not be blank')
    expect(fieldsOf(() => byFile('hostnameOverride: "  "\n'))).toEqual(['hostnameOverride'])
  })

  test('flags are not defaulted again', () => {
    expect(byFlags('--kube-api-qps=0', '--kube-api-burst=0').config.client).toMatchObject({ qps: 0, burst: 0 })
    expect(fieldsOf(() => byFlags('--config-sync-period=0'))).toEqual(['configSyncPeriod'])
  })

  test.each([
    [['--healthz-port=0'], undefined],
    [['--healthz-port=1'], { ip: '0.0.0.0', port: 10256 }],
    [['--healthz-bind-address=1.2.3.4', '--healthz-port=1'], { ip: '1.2.3.4', port: 1 }],
    [['--healthz-bind-address=1.2.3.4:2', '--healthz-port=1'], { ip: '1.2.3.4', port: 2 }],
    [['--healthz-bind-address=::1'], { ip: '::1', port: 10256 }],
    [['--healthz-bind-address='], { ip: '0.0.0.0', port: 10256 }],
  ])('health server by %j', (argv, expected) => {
    expect(byFlags(...argv).config.healthz).toEqual(expected)
  })

  test('the metrics server cannot be switched off', () => {
    expect(failure(() => byFlags('--metrics-port=0')).message).toBe(
      'metricsBindAddress: Invalid value: "": must be IP:port',
    )
    expect(byFlags('--metrics-bind-address=').config.metrics.port).toBe(10249)
  })

  test('every other flag reaches its place', () => {
    const { config } = byFlags(
      '--proxy-mode=nftables',
      '--cluster-cidr=10.0.0.0/8,fd00::/48',
      '--nodeport-addresses=10.0.0.0/24,fd01::/64',
      '--kubeconfig=k',
      '--kube-api-content-type=application/json',
      '--config-sync-period=1m',
      '--oom-score-adj=1000',
      '--bind-address-hard-fail',
      '--profiling',
      '--show-hidden-metrics-for-version=1.35',
      '--logging-format=json',
      '--log-flush-frequency=1s',
      '--conntrack-max-per-core=1',
      '--conntrack-min=2',
      '--conntrack-tcp-be-liberal',
      '--conntrack-tcp-timeout-established=3s',
      '--conntrack-tcp-timeout-close-wait=4s',
      '--conntrack-udp-timeout=5s',
      '--conntrack-udp-timeout-stream=6s',
      '--ipvs-scheduler=wlc',
      '--ipvs-exclude-cidrs=10.1.0.0/16',
      '--ipvs-strict-arp',
      '--ipvs-tcp-timeout=7s',
      '--ipvs-tcpfin-timeout=8s',
      '--ipvs-udp-timeout=9s',
      '--iptables-masquerade-bit=3',
      '--iptables-localhost-nodeports=false',
      '--network-name=n',
      '--source-vip=s',
      '--enable-dsr',
      '--root-hnsendpoint-name=r',
      '--forward-healthcheck-vip',
      '--windows-service',
      '--write-config-to=w',
    )
    expect(config).toMatchObject({
      action: 'write-config',
      writeConfigTo: 'w',
      bindAddressHardFail: true,
      profiling: true,
      showHiddenMetricsForVersion: '1.35',
      detectLocal: { clusterCidrs: ['10.0.0.0/8', 'fd00::/48'] },
      nodePortAddresses: { kind: 'cidrs', cidrs: ['10.0.0.0/24', 'fd01::/64'] },
      client: { kubeconfig: 'k', contentType: 'application/json' },
      configSyncPeriodMs: 60_000,
      oomScoreAdj: 1000,
      logging: { format: 'json', flushFrequencyMs: 1000 },
      conntrack: {
        maxPerCore: 1,
        min: 2,
        tcpBeLiberal: true,
        tcpEstablishedTimeoutMs: 3000,
        tcpCloseWaitTimeoutMs: 4000,
        udpTimeoutMs: 5000,
        udpStreamTimeoutMs: 6000,
      },
      ipvs: {
        scheduler: 'wlc',
        excludeCidrs: ['10.1.0.0/16'],
        strictArp: true,
        tcpTimeoutMs: 7000,
        tcpFinTimeoutMs: 8000,
        udpTimeoutMs: 9000,
      },
      iptables: { masqueradeBit: 3, localhostNodePorts: false },
      masqueradeBit: 14,
      windows: {
        networkName: 'n',
        sourceVip: 's',
        enableDSR: true,
        rootHnsEndpointName: 'r',
        forwardHealthCheckVip: true,
        runAsService: true,
      },
    })
  })

  test.each([
    [
      ['--detect-local-mode=BridgeInterface', '--pod-bridge-interface=br0', '--cluster-cidr=nonsense'],
      { mode: 'BridgeInterface', bridgeInterface: 'br0', clusterCidrs: [] },
    ],
    [
      ['--detect-local-mode=InterfaceNamePrefix', '--pod-interface-name-prefix=veth'],
      { mode: 'InterfaceNamePrefix', interfaceNamePrefix: 'veth' },
    ],
    [['--detect-local-mode=NodeCIDR'], { mode: 'NodeCIDR' }],
    [['--detect-local-mode='], { mode: 'ClusterCIDR' }],
  ])('%j', (argv, detectLocal) => {
    expect(byFlags(...argv).config.detectLocal).toMatchObject(detectLocal)
  })

  test.each([
    [['--write-config-to=f', '--cleanup', '--init-only'], 'write-config'],
    [['--cleanup', '--init-only'], 'cleanup'],
    [['--init-only'], 'init-only'],
    [['cleanup'], 'cleanup'],
    [['render', '--family=ipv6'], 'render'],
  ])('%j', (argv, action) => {
    expect(byFlags(...argv).config.action).toBe(action)
  })
})

describe('validation', () => {
  test.each([
    ['nftables: {syncPeriod: -1s}', 'nftables.syncPeriod'],
    ['nftables: {minSyncPeriod: -1s}', 'nftables.minSyncPeriod'],
    ['nftables: {syncPeriod: 2s, minSyncPeriod: 3s}', 'nftables.syncPeriod'],
    ['mode: ipvs\nipvs: {syncPeriod: 2s, minSyncPeriod: 3s}', 'ipvs.syncPeriod'],
    ['mode: iptables\niptables: {syncPeriod: 500ms}', 'iptables.syncPeriod'],
    ['iptables: {masqueradeBit: 32}', 'iptables.masqueradeBit'],
    ['iptables: {masqueradeBit: -1}', 'iptables.masqueradeBit'],
    ['nftables: {masqueradeBit: 32}', 'nftables.masqueradeBit'],
    ['conntrack: {maxPerCore: -1}', 'conntrack.maxPerCore'],
    ['conntrack: {min: -1}', 'conntrack.min'],
    ['conntrack: {tcpEstablishedTimeout: -1s}', 'conntrack.tcpEstablishedTimeout'],
    ['conntrack: {tcpCloseWaitTimeout: -1s}', 'conntrack.tcpCloseWaitTimeout'],
    ['conntrack: {udpTimeout: -1s}', 'conntrack.udpTimeout'],
    ['conntrack: {udpStreamTimeout: -1s}', 'conntrack.udpStreamTimeout'],
    ['oomScoreAdj: -1001', 'oomScoreAdj'],
    ['oomScoreAdj: 1001', 'oomScoreAdj'],
    ['configSyncPeriod: -1s', 'configSyncPeriod'],
    ['clientConnection: {burst: -1}', 'clientConnection.burst'],
    ['bindAddress: nope', 'bindAddress'],
    ['healthzBindAddress: nope', 'healthzBindAddress'],
    ['healthzBindAddress: 1.2.3.4:0', 'healthzBindAddress'],
    ['healthzBindAddress: "[::1]"', 'healthzBindAddress'],
    ['metricsBindAddress: 1.2.3.4:65536', 'metricsBindAddress'],
    ['clusterCIDR: 10.0.0.0', 'clusterCIDR'],
    ['clusterCIDR: 10.0.0.0/8,10.1.0.0/16', 'clusterCIDR'],
    ['clusterCIDR: "10.0.0.0/8, fd00::/8"', 'clusterCIDR'],
    ['clusterCIDR: 10.0.0.0/8,fd00::/8,fd01::/8', 'clusterCIDR'],
    ['detectLocalMode: nodecidr', 'detectLocalMode'],
    ['detectLocalMode: BridgeInterface', 'detectLocal.bridgeInterface'],
    ['detectLocalMode: InterfaceNamePrefix', 'detectLocal.interfaceNamePrefix'],
    ['nodePortAddresses: [10.0.0.1]', 'nodePortAddresses[0]'],
    ['nodePortAddresses: [10.0.0.0/8, all]', 'nodePortAddresses[1]'],
    ['nodePortAddresses: [primary, 10.0.0.0/8]', 'nodePortAddresses'],
    ['nodePortAddresses: [primary, primary]', 'nodePortAddresses'],
    ['mode: NFTables', 'mode'],
    ['mode: userspace', 'mode'],
    ['mode: kernelspace', 'mode'],
    ['mode: ipvs\nipvs: {tcpTimeout: -1s}', 'ipvs.tcpTimeout'],
    ['mode: ipvs\nipvs: {tcpFinTimeout: -1s}', 'ipvs.tcpFinTimeout'],
    ['mode: ipvs\nipvs: {udpTimeout: -1s}', 'ipvs.udpTimeout'],
    ['mode: ipvs\nipvs: {excludeCIDRs: [10.0.0.0/8, x]}', 'ipvs.excludeCIDRs[1]'],
    ['showHiddenMetricsForVersion: "1.34"', 'showHiddenMetricsForVersion'],
    ['featureGates: {NoSuchGate: true}', 'featureGates'],
    ['featureGates: {NFTablesProxyMode: false}', 'featureGates'],
    ['logging: {format: xml}', 'logging.format'],
    ['logging: {verbosity: 2147483648}', 'logging.verbosity'],
    ['logging: {format: json, vmodule: [{filePattern: a, verbosity: 1}]}', 'logging.vmodule'],
    ['logging: {vmodule: [{verbosity: 1}]}', 'logging.vmodule[0]'],
    ['logging: {vmodule: [{filePattern: "a=b"}]}', 'logging.vmodule[0]'],
    ['logging: {vmodule: [{filePattern: a, verbosity: 2147483648}]}', 'logging.vmodule[0]'],
    ['logging: {options: {json: {splitStream: true}}}', 'logging.options.json.splitStream'],
    ['logging: {options: {text: {infoBufferSize: 1Ki}}}', 'logging.options.text.infoBufferSize'],
  ])('%j', (body, field) => {
    const error = failure(() => byFile(`${body}\n`))
    expect(error.code).toBe('invalid')
    expect(error.issues.map((issue) => issue.field)).toEqual([field])
    expect(error.message.startsWith(`${field}: `)).toBe(true)
  })

  test.each([
    'ipvs: {tcpTimeout: -1s, excludeCIDRs: [x], minSyncPeriod: 5m}',
    'mode: iptables\nnftables: {masqueradeBit: 99, syncPeriod: -1s}',
    'iptables: {syncPeriod: -1s, minSyncPeriod: -1s}',
    'detectLocalMode: NodeCIDR\nclusterCIDR: nonsense',
    'portRange: nonsense',
    'mode: ipvs\nipvs: {scheduler: nonsense}',
    'clientConnection: {qps: -1}',
    'mode: ipvs',
    'mode: ""',
    'featureGates: {NFTablesProxyMode: true, MultiCIDRServiceAllocator: true, ComponentFlagz: false}',
    'featureGates: {LoggingAlphaOptions: true}\nlogging: {options: {json: {splitStream: true, infoBufferSize: 1}}}',
    'featureGates: {AllAlpha: true}\nlogging: {options: {text: {splitStream: true}}}',
    'conntrack: {tcpEstablishedTimeout: 0s, maxPerCore: 0, min: 0}',
    'nodePortAddresses: [primary]',
    'nodePortAddresses: []',
    'showHiddenMetricsForVersion: "1.35"',
  ])('%j is fine', (body) => {
    expect(() => byFile(`${body}\n`)).not.toThrow()
  })

  test('all problems are listed, one line each', () => {
    const error = failure(() => byFile('bindAddress: x\noomScoreAdj: 5000\niptables: {masqueradeBit: 40}\n'))
    expect(error.message.split('\n')).toEqual([
      'iptables.masqueradeBit: Invalid value: 40: must be within the range [0, 31]',
      'oomScoreAdj: Invalid value: 5000: must be within the range [-1000, 1000]',
      'bindAddress: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
    ])
  })
})

describe('feature gates', () => {
  test('AllowServiceExternalIPs', () => {
    const { config, warnings } = byFlags('--proxy-mode=nftables', '--feature-gates=AllowServiceExternalIPs=false')
    expect(config.allowExternalIPs).toBe(false)
    expect(warnings).toEqual([])
  })
  test('one that concerns others is accepted; a warning only when it is moved', () => {
    expect(
      byFlags('--proxy-mode=nftables', '--feature-gates=SidecarContainers=true,NativeHistograms=true').warnings,
    ).toEqual(['feature gate NativeHistograms is accepted, but weir does not act on it'])
  })
})

describe('warnings', () => {
  const warningsOf = (body: string): readonly string[] => byFile(`mode: nftables\n${body}\n`).warnings
  test.each([
    ['conntrack: {maxPerCore: 1}', 'conntrack.maxPerCore is accepted, but weir does not act on it yet'],
    ['ipvs: {scheduler: wlc}', 'ipvs.scheduler is accepted, but weir does not act on it yet'],
    ['enableProfiling: true', 'enableProfiling is accepted, but weir does not act on it yet'],
    ['portRange: 1-2', 'portRange is accepted, but weir does not act on it yet'],
    ['winkernel: {enableDSR: true}', 'winkernel.enableDSR is accepted, but weir does not act on it yet'],
    ['iptables: {masqueradeAll: true}', 'iptables.masqueradeAll has no effect in mode nftables'],
    ['ipvs: {minSyncPeriod: 2s}', 'ipvs.minSyncPeriod has no effect in mode nftables'],
    [
      'clientConnection: {contentType: application/cbor}',
      'clientConnection.contentType is accepted, but weir always uses application/json',
    ],
  ])('%s', (body, warning) => {
    expect(warningsOf(body)).toEqual([warning])
  })
  test.each([
    'conntrack: {maxPerCore: 32768}',
    'ipvs: {syncPeriod: 30s}',
    'clientConnection: {contentType: application/json}',
  ])('%s is the default or what weir does', (body) => {
    expect(warningsOf(body)).toEqual([])
  })
  test('a flag is named as a flag', () => {
    expect(
      byFlags('--proxy-mode=nftables', '--conntrack-min=1', '--ipvs-sync-period=1m', '--iptables-masquerade-bit=3')
        .warnings,
    ).toEqual([
      '--conntrack-min is accepted, but weir does not act on it yet',
      '--ipvs-sync-period has no effect in mode nftables',
      '--iptables-masquerade-bit has no effect in mode nftables',
    ])
  })
  test.each(['iptables', 'ipvs'])('mode %s is replaced', (mode) => {
    expect(byFlags(`--proxy-mode=${mode}`, '--iptables-masquerade-bit=3').warnings).toEqual([
      `mode ${mode} is not built yet: using nftables instead, with the settings that mode ${mode} reads`,
    ])
  })
  test('what the file sets is named as a field, even beside the flag', () => {
    expect(byFile('mode: nftables\nconntrack: {min: 5}\n', '--conntrack-min=6').warnings).toEqual([
      '--conntrack-min is ignored because --config is given',
      'conntrack.min is accepted, but weir does not act on it yet',
    ])
  })
  test("the command line's own come along", () => {
    expect(byFlags('--proxy-mode=nftables', '--logtostderr').warnings).toEqual([
      '--logtostderr is accepted, but weir does not act on it',
    ])
  })
})

test.each([
  ['nftables', [], { kind: 'primary' }],
  ['', [], { kind: 'primary' }],
  ['iptables', [], { kind: 'all' }],
  ['ipvs', [], { kind: 'all' }],
  ['ipvs', ['primary'], { kind: 'primary' }],
  ['nftables', ['010.0.0.1/8'], { kind: 'cidrs', cidrs: ['10.0.0.0/8'] }],
])('NodePort addresses in mode %j from %j', (mode, addresses, expected) => {
  const { config } = byFlags(`--proxy-mode=${mode}`, ...addresses.map((address) => `--nodeport-addresses=${address}`))
  expect(nodePortSelection(config)).toEqual(expected)
})

describe('the effective configuration', () => {
  const cases: readonly (readonly [string, LoadedConfig])[] = [
    ['defaults', byFlags()],
    [
      'mode iptables',
      byFlags('--proxy-mode=iptables', '--masquerade-all', '--iptables-masquerade-bit=3', '--iptables-sync-period=9s'),
    ],
    ['explicit minSyncPeriod', byFlags('--iptables-min-sync-period=1s')],
    ['IPv6', byFile('bindAddress: fd00::1\nhostnameOverride: A\n')],
    [
      'much',
      byFile(`mode: nftables
featureGates: {AllowServiceExternalIPs: false}
clientConnection: {kubeconfig: k, qps: 0.5, burst: 3, acceptContentTypes: a/b}
logging: {format: text, flushFrequency: 1500000000, verbosity: 4, vmodule: [{filePattern: "a*", verbosity: 9}]}
nftables: {masqueradeAll: true, masqueradeBit: 7, syncPeriod: 1m, minSyncPeriod: 250ms}
ipvs: {scheduler: mh, excludeCIDRs: [10.0.0.0/8], strictARP: true, tcpTimeout: 1h}
conntrack: {maxPerCore: 0, tcpEstablishedTimeout: 0s, udpTimeout: 1us}
clusterCIDR: 10.0.0.0/8,fd00::/8
nodePortAddresses: [primary]
winkernel: {networkName: "n"}
windowsRunAsService: true
portRange: "1-2"
`),
    ],
  ]

  test.each(cases)('%s loads again as the same configuration', (_name, { config }) => {
    const again = loadConfig(parseCommandLine([]), toYaml(effectiveConfiguration(config))).config
    const comparable = ({ requestedMode: _mode, configFile: _file, iptables: _iptables, ...rest }: Config) => rest
    expect(comparable(again)).toEqual(comparable(config))
    expect(again.requestedMode).toBe('nftables')
    const json = loadConfig(parseCommandLine([]), JSON.stringify(effectiveConfiguration(config))).config
    expect(json).toEqual(again)
  })

  test('so does any other valid one', () => {
    const duration = fc.bigInt({ min: 0n, max: 10n ** 15n }).map((value) => formatGoDuration(nanoseconds(value)))
    const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: null })
    const minSyncPeriod = maybe(fc.constantFrom('0s', '1us', '250ms', '1.5s'))
    const text = fc.oneof(fc.constantFrom('n', 'yes', '1:30', '2026-11-20', '0x10', '~', '#', '- a'), fc.string())
    const file = fc.record({
      kind: fc.constant('KubeProxyConfiguration'),
      apiVersion: fc.constant('kubeproxy.config.k8s.io/v1alpha1'),
      mode: fc.constantFrom('', 'nftables', 'iptables', 'ipvs'),
      bindAddress: maybe(fc.oneof(fc.ipV4(), fc.ipV6())),
      oomScoreAdj: maybe(fc.integer({ min: -1000, max: 1000 })),
      clientConnection: fc.record({ kubeconfig: text, qps: maybe(fc.integer()), burst: maybe(fc.nat()) }),
      nftables: fc.record({ masqueradeBit: maybe(fc.nat(31)), masqueradeAll: fc.boolean(), minSyncPeriod }),
      iptables: fc.record({ masqueradeBit: maybe(fc.nat(31)), masqueradeAll: fc.boolean(), minSyncPeriod }),
      ipvs: fc.record({ scheduler: text, minSyncPeriod, tcpTimeout: duration }),
      conntrack: fc.record({ min: maybe(fc.nat()), udpTimeout: duration, tcpCloseWaitTimeout: maybe(duration) }),
      clusterCIDR: fc.constantFrom('', '10.0.0.0/8', 'fd00::/8', '10.0.0.0/8,fd00::/8'),
      winkernel: fc.record({ networkName: text }),
    })
    fc.assert(
      fc.property(file, (written) => {
        const { config } = loadConfig(parseCommandLine([]), JSON.stringify(written))
        const once = effectiveConfiguration(config)
        const { config: again } = loadConfig(parseCommandLine([]), toYaml(once))
        expect(effectiveConfiguration(again)).toEqual(once)
        expect(again.minSyncPeriodExplicit).toBe(config.minSyncPeriodExplicit)
        expect(again.conntrack).toEqual(config.conntrack)
      }),
    )
  })

  test('shows the section of the mode only, sorted, as Kubernetes writes it', () => {
    const { config } = byFlags(
      '--proxy-mode=nftables',
      '--cluster-cidr=10.0.0.0/8',
      '--iptables-min-sync-period=1s',
      '--masquerade-all',
    )
    expect(toYaml(effectiveConfiguration(config))).toBe(`apiVersion: kubeproxy.config.k8s.io/v1alpha1
bindAddress: 0.0.0.0
bindAddressHardFail: false
clientConnection:
  acceptContentTypes: ""
  burst: 10
  contentType: application/vnd.kubernetes.protobuf
  kubeconfig: ""
  qps: 5
clusterCIDR: 10.0.0.0/8
configSyncPeriod: 15m0s
conntrack:
  maxPerCore: 32768
  min: 131072
  tcpBeLiberal: false
  tcpCloseWaitTimeout: 1h0m0s
  tcpEstablishedTimeout: 24h0m0s
  udpStreamTimeout: 0s
  udpTimeout: 0s
detectLocal:
  bridgeInterface: ""
  interfaceNamePrefix: ""
detectLocalMode: ClusterCIDR
enableProfiling: false
healthzBindAddress: 0.0.0.0:10256
hostnameOverride: ""
iptables:
  localhostNodePorts: true
  masqueradeAll: false
  masqueradeBit: 14
  minSyncPeriod: 0s
  syncPeriod: 0s
ipvs:
  excludeCIDRs: null
  minSyncPeriod: 0s
  scheduler: ""
  strictARP: false
  syncPeriod: 0s
  tcpFinTimeout: 0s
  tcpTimeout: 0s
  udpTimeout: 0s
kind: KubeProxyConfiguration
logging:
  flushFrequency: 5s
  format: text
  options:
    json:
      infoBufferSize: "0"
    text:
      infoBufferSize: "0"
  verbosity: 0
metricsBindAddress: 127.0.0.1:10249
mode: nftables
nftables:
  masqueradeAll: true
  masqueradeBit: 14
  minSyncPeriod: 1s
  syncPeriod: 30s
nodePortAddresses: null
oomScoreAdj: -999
portRange: ""
showHiddenMetricsForVersion: ""
winkernel:
  enableDSR: false
  forwardHealthCheckVip: false
  networkName: ""
  rootHnsEndpointName: ""
  sourceVip: ""
`)
  })
})

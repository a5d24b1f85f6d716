import { describe, expect, test } from 'vitest'
import { parseCommandLine } from './command-line.ts'
import { ConfigError } from './config-error.ts'
import { toYaml } from './effective.ts'
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
const fieldsOf = (load: () => unknown): readonly string[] => failure(load).issues.map(({ field }) => field)

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
      iptables: { masqueradeBit: 14, localhostNodePorts: true, variant: 'auto', ipset: false, dispatch: 'flat' },
      ipvs: { scheduler: '', excludeCidrs: [], strictArp: false, drainTimeoutMs: 900_000 },
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
    ['', 'nftables', false, 4, 20_000],
    ['nftables', 'nftables', false, 4, 20_000],
    ['iptables', 'iptables', true, 3, 10_000],
    ['ipvs', 'ipvs', true, 3, 40_000],
  ])('mode %j is run by %s', (requestedMode, mode, masqueradeAll, masqueradeBit, syncPeriodMs) => {
    const { config } = byFile(`mode: "${requestedMode}"\n${sections}`)
    expect(config).toMatchObject({ mode, requestedMode, masqueradeAll, masqueradeBit, syncPeriodMs })
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
      '--iptables-variant=legacy',
      '--iptables-ipset',
      '--iptables-dispatch=tree',
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
      iptables: { masqueradeBit: 3, localhostNodePorts: false, variant: 'legacy', ipset: true, dispatch: 'tree' },
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

test.each([
  ['nftables', [], 'primary'],
  ['', [], 'primary'],
  ['iptables', [], []],
  ['ipvs', [], []],
  ['ipvs', ['primary'], 'primary'],
  ['nftables', ['010.0.0.1/8'], ['10.0.0.0/8']],
])('NodePort addresses in mode %j from %j', (mode, addresses, expected) => {
  const { config } = byFlags(`--proxy-mode=${mode}`, ...addresses.map((address) => `--nodeport-addresses=${address}`))
  expect(nodePortSelection(config)).toEqual(expected)
})

describe('mode ipvs', () => {
  const expected = {
    scheduler: 'sed',
    excludeCidrs: ['192.0.2.0/24', '2001:db8::/64'],
    strictArp: true,
    tcpTimeoutMs: 7000,
    tcpFinTimeoutMs: 500,
    udpTimeoutMs: 9000,
    drainTimeoutMs: 60_000,
  }
  test('takes its settings from flags', () => {
    const { config, warnings } = byFlags(
      '--proxy-mode=ipvs',
      '--ipvs-scheduler=sed',
      '--ipvs-exclude-cidrs=192.0.2.0/24,2001:db8::/64',
      '--ipvs-strict-arp',
      '--ipvs-tcp-timeout=7s',
      '--ipvs-tcpfin-timeout=500ms',
      '--ipvs-udp-timeout=9s',
      '--ipvs-drain-timeout=1m',
    )
    expect(config).toMatchObject({ mode: 'ipvs', requestedMode: 'ipvs', ipvs: expected })
    expect(warnings).toEqual([])
  })
  test('takes its settings from the sections ipvs and weir', () => {
    const { config, warnings } = byFile(`mode: ipvs
ipvs: {scheduler: sed, excludeCIDRs: [192.0.2.0/24, "2001:db8::/64"], strictARP: true, tcpTimeout: 7s, tcpFinTimeout: 500ms, udpTimeout: 9s}
weir: {ipvs: {drainTimeout: 1m}}
`)
    expect(config.ipvs).toEqual(expected)
    expect(warnings).toEqual([])
    expect(config.effective.weir).toEqual({ ipvs: { drainTimeout: '1m0s' } })
    expect(byFile(toYaml(config.effective).replace(/^(apiVersion|kind):.*\n/gm, '')).config.ipvs).toEqual(expected)
  })
})

describe('mode userspace', () => {
  test('has defaults', () => {
    expect(byFlags('--proxy-mode=userspace').config).toMatchObject({
      mode: 'userspace',
      requestedMode: 'userspace',
      userspace: {
        threads: 1,
        redirect: 'auto',
        portRange: { first: 20_000, last: 29_999 },
        connectTimeoutMs: 2000,
        tcpIdleTimeoutMs: 3_600_000,
        udpTimeoutMs: 60_000,
        maxConnections: undefined,
        drainTimeoutMs: 20_000,
      },
    })
  })
  test('takes its settings from flags or from the section weir', () => {
    const expected = {
      threads: 2,
      redirect: 'always',
      portRange: { first: 3000, last: 3999 },
      connectTimeoutMs: 500,
      tcpIdleTimeoutMs: 0,
      udpTimeoutMs: 5000,
      maxConnections: 9,
      drainTimeoutMs: 0,
    }
    const flags = [
      '--userspace-threads=2',
      '--userspace-redirect=always',
      '--userspace-port-range=3000-3999',
      '--userspace-connect-timeout=500ms',
      '--userspace-tcp-idle-timeout=0s',
      '--userspace-udp-timeout=5s',
      '--userspace-max-connections=9',
      '--userspace-drain-timeout=0s',
    ]
    expect(byFlags('--proxy-mode=userspace', ...flags).config.userspace).toEqual(expected)
    const file = `mode: userspace
weir:
  userspace: {threads: 2, redirect: always, portRange: 3000-3999, connectTimeout: 500ms, tcpIdleTimeout: 0s, udpTimeout: 5s, maxConnections: 9, drainTimeout: 0s}
`
    const { config, warnings } = byFile(file)
    expect(config.userspace).toEqual(expected)
    expect(warnings).toEqual([])
    expect(config.effective.weir?.iptables).toBeUndefined()
    expect(byFile(toYaml(config.effective).replace(/^(apiVersion|kind):.*\n/gm, '')).config.userspace).toEqual(expected)
  })
})

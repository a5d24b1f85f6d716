import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseCommandLine } from './command-line.ts'
import type { Config } from './config.ts'
import { effectiveConfiguration, toYaml } from './effective.ts'
import { formatGoDuration, nanoseconds } from './go-duration.ts'
import { type LoadedConfig, loadConfig } from './load.ts'

const header = 'kind: KubeProxyConfiguration\napiVersion: kubeproxy.config.k8s.io/v1alpha1\n'
const byFile = (body: string, ...argv: readonly string[]): LoadedConfig =>
  loadConfig(parseCommandLine(['--config=/etc/weir.yaml', ...argv]), header + body)
const byFlags = (...argv: readonly string[]): LoadedConfig => loadConfig(parseCommandLine(argv), undefined)

describe('the effective configuration', () => {
  const cases: readonly (readonly [string, LoadedConfig])[] = [
    ['defaults', byFlags()],
    [
      'mode iptables',
      byFlags('--proxy-mode=iptables', '--masquerade-all', '--iptables-masquerade-bit=3', '--iptables-sync-period=9s'),
    ],
    [
      'mode ipvs',
      byFlags(
        '--proxy-mode=ipvs',
        '--masquerade-all',
        '--iptables-masquerade-bit=3',
        '--ipvs-sync-period=9s',
        '--ipvs-min-sync-period=2s',
        '--ipvs-drain-timeout=0',
      ),
    ],
    ['flags of section weir', byFlags('--proxy-mode=iptables', '--iptables-ipset')],
    ['section weir', byFile('mode: iptables\nweir: {iptables: {variant: legacy, dispatch: tree}}\n')],
    ['section weir in another mode', byFile('mode: nftables\nweir: {iptables: {ipset: true}}\n')],
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
    const comparable = ({ requestedMode: _mode, configFile: _file, ...rest }: Config) => rest
    expect(comparable(again)).toEqual(comparable(config))
    expect(again.requestedMode).toBe(config.mode)
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
      weir: fc.record({
        iptables: fc.record({
          variant: maybe(fc.constantFrom('auto', 'legacy', 'nft')),
          ipset: maybe(fc.boolean()),
          dispatch: maybe(fc.constantFrom('flat', 'tree')),
        }),
        ipvs: fc.record({ drainTimeout: maybe(duration) }),
      }),
    })
    fc.assert(
      fc.property(file, (written) => {
        const { config } = loadConfig(parseCommandLine([]), JSON.stringify(written))
        const once = effectiveConfiguration(config)
        const { config: again } = loadConfig(parseCommandLine([]), toYaml(once))
        expect(effectiveConfiguration(again)).toEqual(once)
        expect(again.minSyncPeriodExplicit).toBe(config.minSyncPeriodExplicit)
        expect(again.conntrack).toEqual(config.conntrack)
        expect(again.iptables).toEqual(config.iptables)
        expect(again.ipvs).toEqual(config.ipvs)
      }),
    )
  })

  test('has a section weir only where something of it was set', () => {
    const weirOf = ({ config }: LoadedConfig): unknown => effectiveConfiguration(config).weir
    const filled = { variant: 'auto', ipset: false, dispatch: 'flat' }
    expect(weirOf(byFile('mode: iptables\nweir: {iptables: {ipset: false}}\n'))).toEqual({ iptables: filled })
    expect(weirOf(byFlags('--iptables-variant=nft'))).toEqual({ iptables: { ...filled, variant: 'nft' } })
    for (const without of [byFlags('--proxy-mode=iptables'), byFile('mode: iptables\n'), byFile('weir: {}\n')])
      expect(toYaml(effectiveConfiguration(without.config))).not.toContain('weir')
  })

  test('in mode iptables has its periods there', () => {
    const { config } = byFile('mode: iptables\niptables: {masqueradeAll: true, masqueradeBit: 5, syncPeriod: 9s}\n')
    expect(effectiveConfiguration(config)).toMatchObject({
      mode: 'iptables',
      iptables: { masqueradeAll: true, masqueradeBit: 5, syncPeriod: '9s', minSyncPeriod: '0s' },
      nftables: { masqueradeAll: false, masqueradeBit: 14, syncPeriod: '0s', minSyncPeriod: '0s' },
    })
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

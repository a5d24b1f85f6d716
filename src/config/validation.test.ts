import { describe, expect, test } from 'vitest'
import { parseCommandLine } from './command-line.ts'
import { ConfigError } from './config-error.ts'
import { type LoadedConfig, loadConfig } from './load.ts'

const header = 'kind: KubeProxyConfiguration\napiVersion: kubeproxy.config.k8s.io/v1alpha1\n'
const byFile = (body: string, ...argv: readonly string[]): LoadedConfig =>
  loadConfig(parseCommandLine(['--config=/etc/weir.yaml', ...argv]), header + body)
const failure = (load: () => unknown): ConfigError => {
  try {
    load()
  } catch (error) {
    if (error instanceof ConfigError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}

describe('validation', () => {
  test.each([
    ['nftables: {syncPeriod: -1s}', 'nftables.syncPeriod'],
    ['nftables: {minSyncPeriod: -1s}', 'nftables.minSyncPeriod'],
    ['nftables: {syncPeriod: 2s, minSyncPeriod: 3s}', 'nftables.syncPeriod'],
    ['mode: ipvs\nipvs: {syncPeriod: 2s, minSyncPeriod: 3s}', 'ipvs.syncPeriod'],
    ['mode: iptables\niptables: {syncPeriod: 500ms}', 'iptables.syncPeriod'],
    ['iptables: {masqueradeBit: 32}', 'iptables.masqueradeBit'],
    ['weir: {iptables: {variant: nf_tables}}', 'weir.iptables.variant'],
    ['weir: {iptables: {dispatch: Tree}}', 'weir.iptables.dispatch'],
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
    ['mode: kernelspace', 'mode'],
    ['weir: {userspace: {threads: 0}}', 'weir.userspace.threads'],
    ['weir: {userspace: {redirect: maybe}}', 'weir.userspace.redirect'],
    ['weir: {userspace: {portRange: 80-90}}', 'weir.userspace.portRange'],
    ['weir: {userspace: {portRange: 3000-2000}}', 'weir.userspace.portRange'],
    ['weir: {userspace: {maxConnections: -1}}', 'weir.userspace.maxConnections'],
    ['weir: {userspace: {connectTimeout: 0s}}', 'weir.userspace.connectTimeout'],
    ['weir: {userspace: {tcpIdleTimeout: -1s}}', 'weir.userspace.tcpIdleTimeout'],
    ['weir: {userspace: {udpTimeout: -1s}}', 'weir.userspace.udpTimeout'],
    ['weir: {userspace: {drainTimeout: -1s}}', 'weir.userspace.drainTimeout'],
    ['mode: kernelspace', 'mode'],
    ['mode: ipvs\nipvs: {tcpTimeout: -1s}', 'ipvs.tcpTimeout'],
    ['mode: ipvs\nipvs: {tcpFinTimeout: -1s}', 'ipvs.tcpFinTimeout'],
    ['mode: ipvs\nipvs: {udpTimeout: -1s}', 'ipvs.udpTimeout'],
    ['mode: ipvs\nweir: {ipvs: {drainTimeout: -1s}}', 'weir.ipvs.drainTimeout'],
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

import { parseIP } from '../model/ip.ts'
import { type GoDuration, seconds, zeroDuration } from './go-duration.ts'
import { appendPortIfNeeded } from './go-values.ts'
import type { FileSettings, Settings } from './shape.ts'
import { weirOfFile } from './weir-section.ts'

export const healthzPort = 10256
export const metricsPort = 10249
export const protobuf = 'application/vnd.kubernetes.protobuf'

/** Empty and zero count as left out, which is how Go's defaulting sees them. */
const filled = (value: string | undefined, fallback: string): string =>
  value === undefined || value === '' ? fallback : value
const nonZero = <T extends number | GoDuration>(value: T | undefined, fallback: T): T =>
  value === undefined || value === 0 || value === 0n ? fallback : value

/**
 * kube-proxy's defaulting of v1alpha1. Two traps are upstream's: an empty address cannot switch a server off, and only
 * in section ipvs does a minSyncPeriod of 0 stay 0.
 */
export const withDefaults = (file: FileSettings): Settings => {
  const bindAddress = filled(file.bindAddress, '0.0.0.0')
  const isIPv4 = parseIP(bindAddress)?.includes(':') === false
  return {
    featureGates: file.featureGates ?? {},
    clientConnection: {
      kubeconfig: file.clientConnection.kubeconfig ?? '',
      acceptContentTypes: file.clientConnection.acceptContentTypes ?? '',
      contentType: filled(file.clientConnection.contentType, protobuf),
      qps: nonZero(file.clientConnection.qps, 5),
      burst: nonZero(file.clientConnection.burst, 10),
    },
    logging: loggingDefaults(file.logging),
    hostnameOverride: file.hostnameOverride ?? '',
    bindAddress,
    healthzBindAddress: address(file.healthzBindAddress, isIPv4 ? '0.0.0.0' : '::', healthzPort),
    metricsBindAddress: address(file.metricsBindAddress, isIPv4 ? '127.0.0.1' : '::1', metricsPort),
    bindAddressHardFail: file.bindAddressHardFail ?? false,
    enableProfiling: file.enableProfiling ?? false,
    showHiddenMetricsForVersion: file.showHiddenMetricsForVersion ?? '',
    mode: file.mode ?? '',
    ...backendDefaults(file),
    winkernel: {
      networkName: file.winkernel.networkName ?? '',
      sourceVip: file.winkernel.sourceVip ?? '',
      enableDSR: file.winkernel.enableDSR ?? false,
      rootHnsEndpointName: file.winkernel.rootHnsEndpointName ?? '',
      forwardHealthCheckVip: file.winkernel.forwardHealthCheckVip ?? false,
    },
    detectLocalMode: filled(file.detectLocalMode, 'ClusterCIDR'),
    detectLocal: {
      bridgeInterface: file.detectLocal.bridgeInterface ?? '',
      interfaceNamePrefix: file.detectLocal.interfaceNamePrefix ?? '',
    },
    clusterCIDR: file.clusterCIDR ?? '',
    nodePortAddresses: file.nodePortAddresses ?? [],
    oomScoreAdj: file.oomScoreAdj ?? -999,
    conntrack: {
      maxPerCore: file.conntrack.maxPerCore ?? 32 * 1024,
      min: file.conntrack.min ?? 128 * 1024,
      tcpEstablishedTimeout: file.conntrack.tcpEstablishedTimeout ?? seconds(24 * 3600),
      tcpCloseWaitTimeout: file.conntrack.tcpCloseWaitTimeout ?? seconds(3600),
      tcpBeLiberal: file.conntrack.tcpBeLiberal ?? false,
      udpTimeout: file.conntrack.udpTimeout ?? zeroDuration,
      udpStreamTimeout: file.conntrack.udpStreamTimeout ?? zeroDuration,
    },
    configSyncPeriod: nonZero(file.configSyncPeriod, seconds(15 * 60)),
    portRange: file.portRange ?? '',
    windowsRunAsService: file.windowsRunAsService ?? false,
    weir: weirOfFile(file.weir),
  }
}

const address = (written: string | undefined, ip: string, port: number): string =>
  appendPortIfNeeded(filled(written, ip), port)

const loggingDefaults = (logging: FileSettings['logging']): Settings['logging'] => {
  const options = (split: FileSettings['logging']['options']['text']): Settings['logging']['options']['text'] => ({
    splitStream: split.splitStream ?? false,
    infoBufferSize: split.infoBufferSize ?? '0',
  })
  return {
    format: filled(logging.format, 'text'),
    flushFrequency: nonZero(logging.flushFrequency, seconds(5)),
    verbosity: logging.verbosity ?? 0,
    vmodule: logging.vmodule ?? [],
    options: { text: options(logging.options.text), json: options(logging.options.json) },
  }
}

const backendDefaults = ({
  iptables,
  ipvs,
  nftables,
}: FileSettings): Pick<Settings, 'iptables' | 'ipvs' | 'nftables'> => ({
  iptables: {
    masqueradeBit: iptables.masqueradeBit ?? 14,
    masqueradeAll: iptables.masqueradeAll ?? false,
    localhostNodePorts: iptables.localhostNodePorts ?? true,
    syncPeriod: nonZero(iptables.syncPeriod, seconds(30)),
    minSyncPeriod: nonZero(iptables.minSyncPeriod, seconds(1)),
  },
  ipvs: {
    syncPeriod: nonZero(ipvs.syncPeriod, seconds(30)),
    minSyncPeriod: ipvs.minSyncPeriod ?? zeroDuration,
    scheduler: ipvs.scheduler ?? '',
    excludeCIDRs: ipvs.excludeCIDRs ?? [],
    strictARP: ipvs.strictARP ?? false,
    tcpTimeout: ipvs.tcpTimeout ?? zeroDuration,
    tcpFinTimeout: ipvs.tcpFinTimeout ?? zeroDuration,
    udpTimeout: ipvs.udpTimeout ?? zeroDuration,
  },
  nftables: {
    masqueradeBit: nftables.masqueradeBit ?? 14,
    masqueradeAll: nftables.masqueradeAll ?? false,
    syncPeriod: nonZero(nftables.syncPeriod, seconds(30)),
    minSyncPeriod: nonZero(nftables.minSyncPeriod, seconds(1)),
  },
})

import { healthzPort, metricsPort } from './defaults.ts'
import type { FlagValues } from './flag-values.ts'
import { seconds } from './go-duration.ts'
import { appendPortIfNeeded } from './go-values.ts'
import { masqueradeSection, periodSection } from './mode.ts'
import type { Settings } from './shape.ts'
import { weirOfFlags } from './weir-section.ts'

/** Flags that count whether or not there is a file: they win over it, and vmodule lists are joined. */
export const withAlwaysFlags = (settings: Settings, flags: FlagValues): Settings => {
  const { logging } = settings
  return {
    ...settings,
    hostnameOverride: flags['hostname-override'] || settings.hostnameOverride,
    logging: {
      format: flags['logging-format'] ?? logging.format,
      flushFrequency: flags['log-flush-frequency'] ?? logging.flushFrequency,
      verbosity: flags.v ?? logging.verbosity,
      vmodule: [...(flags.vmodule ?? []), ...logging.vmodule],
      options: {
        text: {
          splitStream: flags['log-text-split-stream'] ?? logging.options.text.splitStream,
          infoBufferSize: flags['log-text-info-buffer-size'] ?? logging.options.text.infoBufferSize,
        },
        json: {
          splitStream: flags['log-json-split-stream'] ?? logging.options.json.splitStream,
          infoBufferSize: flags['log-json-info-buffer-size'] ?? logging.options.json.infoBufferSize,
        },
      },
    },
  }
}

/** Flags that count only without a file. Unlike fields of a file, flags are not defaulted again: 0 stays 0. */
export const withFlags = (settings: Settings, flags: FlagValues): Settings => {
  const mode = flags['proxy-mode'] ?? settings.mode
  return {
    ...settings,
    ...addresses(settings, flags),
    ...sections(settings, flags, mode),
    mode,
    featureGates: flags['feature-gates'] ?? settings.featureGates,
    clientConnection: {
      kubeconfig: flags.kubeconfig ?? settings.clientConnection.kubeconfig,
      acceptContentTypes: settings.clientConnection.acceptContentTypes,
      contentType: flags['kube-api-content-type'] ?? settings.clientConnection.contentType,
      qps: flags['kube-api-qps'] ?? settings.clientConnection.qps,
      burst: flags['kube-api-burst'] ?? settings.clientConnection.burst,
    },
    enableProfiling: flags.profiling ?? settings.enableProfiling,
    showHiddenMetricsForVersion: flags['show-hidden-metrics-for-version'] ?? settings.showHiddenMetricsForVersion,
    detectLocalMode: flags['detect-local-mode'] || settings.detectLocalMode,
    detectLocal: {
      bridgeInterface: flags['pod-bridge-interface'] ?? settings.detectLocal.bridgeInterface,
      interfaceNamePrefix: flags['pod-interface-name-prefix'] ?? settings.detectLocal.interfaceNamePrefix,
    },
    clusterCIDR: flags['cluster-cidr'] ?? settings.clusterCIDR,
    oomScoreAdj: flags['oom-score-adj'] ?? settings.oomScoreAdj,
    conntrack: {
      maxPerCore: flags['conntrack-max-per-core'] ?? settings.conntrack.maxPerCore,
      min: flags['conntrack-min'] ?? settings.conntrack.min,
      tcpEstablishedTimeout: flags['conntrack-tcp-timeout-established'] ?? settings.conntrack.tcpEstablishedTimeout,
      tcpCloseWaitTimeout: flags['conntrack-tcp-timeout-close-wait'] ?? settings.conntrack.tcpCloseWaitTimeout,
      tcpBeLiberal: flags['conntrack-tcp-be-liberal'] ?? settings.conntrack.tcpBeLiberal,
      udpTimeout: flags['conntrack-udp-timeout'] ?? settings.conntrack.udpTimeout,
      udpStreamTimeout: flags['conntrack-udp-timeout-stream'] ?? settings.conntrack.udpStreamTimeout,
    },
    configSyncPeriod: flags['config-sync-period'] ?? settings.configSyncPeriod,
    winkernel: {
      networkName: flags['network-name'] ?? settings.winkernel.networkName,
      sourceVip: flags['source-vip'] ?? settings.winkernel.sourceVip,
      enableDSR: flags['enable-dsr'] ?? settings.winkernel.enableDSR,
      rootHnsEndpointName: flags['root-hnsendpoint-name'] ?? settings.winkernel.rootHnsEndpointName,
      forwardHealthCheckVip: flags['forward-healthcheck-vip'] ?? settings.winkernel.forwardHealthCheckVip,
    },
    windowsRunAsService: flags['windows-service'] ?? settings.windowsRunAsService,
    weir: weirOfFlags(flags) ?? settings.weir,
  }
}

type Addresses = Pick<
  Settings,
  'bindAddress' | 'healthzBindAddress' | 'metricsBindAddress' | 'bindAddressHardFail' | 'nodePortAddresses'
>

const addresses = (settings: Settings, flags: FlagValues): Addresses => ({
  bindAddress: flags['bind-address'] ?? settings.bindAddress,
  healthzBindAddress: withPort(
    flags['healthz-bind-address'] ?? settings.healthzBindAddress,
    flags['healthz-port'] ?? healthzPort,
  ),
  metricsBindAddress: withPort(
    flags['metrics-bind-address'] ?? settings.metricsBindAddress,
    flags['metrics-port'] ?? metricsPort,
  ),
  bindAddressHardFail: flags['bind-address-hard-fail'] ?? settings.bindAddressHardFail,
  nodePortAddresses: flags['nodeport-addresses'] ?? settings.nodePortAddresses,
})

/** Port 0 clears the address. */
const withPort = (address: string, port: number): string => (port === 0 ? '' : appendPortIfNeeded(address, port))

/** A flag about the mode lands in the section that the mode reads. */
const sections = (
  settings: Settings,
  flags: FlagValues,
  mode: string,
): Pick<Settings, 'iptables' | 'ipvs' | 'nftables'> => {
  const masqueradeAll = (section: 'iptables' | 'nftables'): boolean =>
    (masqueradeSection(mode) === section ? flags['masquerade-all'] : undefined) ?? settings[section].masqueradeAll
  const reads = periodSection(mode) === 'iptables' ? 'iptables' : 'nftables'
  const periods = (section: 'iptables' | 'nftables'): Pick<Settings['nftables'], 'syncPeriod' | 'minSyncPeriod'> => ({
    syncPeriod: (reads === section ? flags['iptables-sync-period'] : undefined) ?? settings[section].syncPeriod,
    minSyncPeriod:
      (reads === section ? flags['iptables-min-sync-period'] : undefined) ?? settings[section].minSyncPeriod,
  })
  return {
    iptables: {
      masqueradeBit: flags['iptables-masquerade-bit'] ?? settings.iptables.masqueradeBit,
      masqueradeAll: masqueradeAll('iptables'),
      localhostNodePorts: flags['iptables-localhost-nodeports'] ?? settings.iptables.localhostNodePorts,
      ...periods('iptables'),
    },
    ipvs: {
      syncPeriod: flags['ipvs-sync-period'] ?? settings.ipvs.syncPeriod,
      // The flag has a default of its own, which the file's field lacks.
      minSyncPeriod: flags['ipvs-min-sync-period'] ?? seconds(1),
      scheduler: flags['ipvs-scheduler'] ?? settings.ipvs.scheduler,
      excludeCIDRs: flags['ipvs-exclude-cidrs'] ?? settings.ipvs.excludeCIDRs,
      strictARP: flags['ipvs-strict-arp'] ?? settings.ipvs.strictARP,
      tcpTimeout: flags['ipvs-tcp-timeout'] ?? settings.ipvs.tcpTimeout,
      tcpFinTimeout: flags['ipvs-tcpfin-timeout'] ?? settings.ipvs.tcpFinTimeout,
      udpTimeout: flags['ipvs-udp-timeout'] ?? settings.ipvs.udpTimeout,
    },
    nftables: {
      masqueradeBit: settings.nftables.masqueradeBit,
      masqueradeAll: masqueradeAll('nftables'),
      ...periods('nftables'),
    },
  }
}

import { parseCidr } from '../model/cidr.ts'
import { parseIP } from '../model/ip.ts'
import { cidrIssues, clusterCidrIssues, invalid, settingsIssues } from './checks.ts'
import type { CommandLine } from './command-line.ts'
import {
  type Action,
  type Config,
  type DetectLocalConfig,
  type IptablesConfig,
  localModes,
  type NodePortAddressesConfig,
  type UserspaceConfig,
} from './config.ts'
import { ConfigError, type Issue } from './config-error.ts'
import { type Active, externalOf } from './effective.ts'
import { isEnabled } from './feature-gates.ts'
import { toMilliseconds } from './go-duration.ts'
import { type Bind, parseBind } from './go-values.ts'
import { modeOf, requestableModes } from './mode.ts'
import type { Settings } from './shape.ts'
import {
  iptablesDispatches,
  iptablesVariants,
  parsePortRange,
  userspaceRedirects,
  weirDefaults,
} from './weir-section.ts'

/**
 * Validates and parses.
 *
 * @throws {ConfigError} code `invalid`, listing every problem.
 */
export const buildConfig = (settings: Settings, active: Active, commandLine: CommandLine): Config => {
  const { flags } = commandLine
  const issues: Issue[] = [...settingsIssues(settings, active)]
  const bindAddress = parseIP(settings.bindAddress)
  if (bindAddress === undefined) {
    const why = 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)'
    issues.push(invalid('bindAddress', settings.bindAddress, why))
  }
  const healthz =
    settings.healthzBindAddress === '' ? undefined : bind('healthzBindAddress', settings.healthzBindAddress, issues)
  const metrics = bind('metricsBindAddress', settings.metricsBindAddress, issues)
  const hostname = settings.hostnameOverride.trim().toLowerCase()
  if (settings.hostnameOverride !== '' && hostname === '') {
    issues.push(invalid('hostnameOverride', settings.hostnameOverride, 'must not be blank'))
  }
  const detectLocal = detectLocalOf(settings, issues)
  const nodePortAddresses = nodePortAddressesOf(settings.nodePortAddresses, issues)
  const requestedMode = requestableModes.find((mode) => mode === settings.mode)
  const normalized: Settings = { ...settings, hostnameOverride: hostname }
  if (issues.length > 0 || bindAddress === undefined || metrics === undefined || requestedMode === undefined) {
    throw new ConfigError('invalid', issues)
  }
  return {
    action: actionOf(commandLine),
    mode: modeOf(settings.mode),
    requestedMode,
    hostnameOverride: hostname === '' ? undefined : hostname,
    bindAddress,
    nodeIPOverride: bindAddress === '0.0.0.0' || bindAddress === '::' ? undefined : bindAddress,
    healthz,
    metrics,
    bindAddressHardFail: settings.bindAddressHardFail,
    profiling: settings.enableProfiling,
    showHiddenMetricsForVersion: settings.showHiddenMetricsForVersion,
    syncPeriodMs: toMilliseconds(active.syncPeriod),
    minSyncPeriodMs: toMilliseconds(active.minSyncPeriod),
    minSyncPeriodExplicit: active.minSyncPeriodExplicit,
    masqueradeAll: active.masqueradeAll,
    masqueradeBit: active.masqueradeBit,
    detectLocal,
    nodePortAddresses,
    featureGates: settings.featureGates,
    allowExternalIPs: isEnabled(settings.featureGates, 'AllowServiceExternalIPs'),
    client: { ...settings.clientConnection, master: flags.master ?? '' },
    configSyncPeriodMs: toMilliseconds(settings.configSyncPeriod),
    oomScoreAdj: settings.oomScoreAdj,
    ...sections(settings),
    iptables: iptablesOf(settings),
    userspace: userspaceOf(settings),
    logging: loggingOf(settings.logging),
    configFile: flags.config || undefined,
    writeConfigTo: flags['write-config-to'] || undefined,
    manifests: flags.manifests ?? [],
    once: flags.once ?? false,
    renderFamily: flags.family,
    json: flags.json ?? false,
    serviceProxyName: flags['service-proxy-name'] || undefined,
    effective: externalOf(normalized, active),
  }
}

const actionOf = ({ command, flags }: CommandLine): Action => {
  if (flags['write-config-to']) return 'write-config'
  if (command === 'cleanup' || command === 'render' || command === 'status') return command
  return flags['init-only'] === true ? 'init-only' : 'run'
}

const bind = (field: string, text: string, issues: Issue[]): Bind | undefined => {
  const result = parseBind(text)
  if (!('wrong' in result)) return result
  issues.push(...result.wrong.map((reason) => ({ field, reason })))
  return undefined
}

/** What belongs to another mode is not looked at, hence may be wrong. */
const detectLocalOf = (settings: Settings, issues: Issue[]): DetectLocalConfig => {
  const mode = localModes.find((known) => known === settings.detectLocalMode) ?? 'ClusterCIDR'
  const { bridgeInterface, interfaceNamePrefix } = settings.detectLocal
  const written = mode === 'ClusterCIDR' ? settings.clusterCIDR : ''
  if (written !== '') issues.push(...clusterCidrIssues(written))
  return {
    mode,
    clusterCidrs: written.split(',').flatMap((text) => parseCidr(text) ?? []),
    bridgeInterface: mode === 'BridgeInterface' ? bridgeInterface : '',
    interfaceNamePrefix: mode === 'InterfaceNamePrefix' ? interfaceNamePrefix : '',
  }
}

const nodePortAddressesOf = (items: readonly string[], issues: Issue[]): NodePortAddressesConfig => {
  if (items.length === 0) return { kind: 'unset' }
  if (items.includes('primary')) {
    if (items.length > 1) issues.push(invalid('nodePortAddresses', items, "can't use both 'primary' and CIDRs"))
    return { kind: 'primary' }
  }
  items.forEach((item, index) => {
    issues.push(...cidrIssues(`nodePortAddresses[${index}]`, item))
  })
  return { kind: 'cidrs', cidrs: items.flatMap((item) => parseCidr(item) ?? []) }
}

const loggingOf = ({
  format,
  verbosity,
  vmodule,
  flushFrequency,
  options,
}: Settings['logging']): Config['logging'] => ({
  format: format === 'json' ? 'json' : 'text',
  verbosity,
  vmodule,
  flushFrequencyMs: toMilliseconds(flushFrequency),
  text: options.text,
  json: options.json,
})

const iptablesOf = ({ iptables, weir = weirDefaults }: Settings): IptablesConfig => ({
  masqueradeBit: iptables.masqueradeBit,
  localhostNodePorts: iptables.localhostNodePorts,
  // Anything else has been refused.
  variant: iptablesVariants.find((variant) => variant === weir.iptables.variant) ?? 'auto',
  ipset: weir.iptables.ipset,
  dispatch: iptablesDispatches.find((dispatch) => dispatch === weir.iptables.dispatch) ?? 'flat',
})

const userspaceOf = ({ weir: { userspace } = weirDefaults }: Settings): UserspaceConfig => ({
  threads: userspace.threads,
  // Anything else has been refused.
  redirect: userspaceRedirects.find((redirect) => redirect === userspace.redirect) ?? 'auto',
  portRange: parsePortRange(userspace.portRange) ?? { first: 0, last: 0 },
  connectTimeoutMs: toMilliseconds(userspace.connectTimeout),
  tcpIdleTimeoutMs: toMilliseconds(userspace.tcpIdleTimeout),
  udpTimeoutMs: toMilliseconds(userspace.udpTimeout),
  maxConnections: userspace.maxConnections === 0 ? undefined : userspace.maxConnections,
  drainTimeoutMs: toMilliseconds(userspace.drainTimeout),
})

const sections = ({
  conntrack,
  ipvs,
  winkernel,
  windowsRunAsService,
  weir = weirDefaults,
}: Settings): Pick<Config, 'conntrack' | 'ipvs' | 'windows'> => ({
  conntrack: {
    maxPerCore: conntrack.maxPerCore,
    min: conntrack.min,
    tcpEstablishedTimeoutMs: toMilliseconds(conntrack.tcpEstablishedTimeout),
    tcpCloseWaitTimeoutMs: toMilliseconds(conntrack.tcpCloseWaitTimeout),
    tcpBeLiberal: conntrack.tcpBeLiberal,
    udpTimeoutMs: toMilliseconds(conntrack.udpTimeout),
    udpStreamTimeoutMs: toMilliseconds(conntrack.udpStreamTimeout),
  },
  ipvs: {
    scheduler: ipvs.scheduler,
    excludeCidrs: ipvs.excludeCIDRs.flatMap((cidr) => parseCidr(cidr) ?? []),
    strictArp: ipvs.strictARP,
    tcpTimeoutMs: toMilliseconds(ipvs.tcpTimeout),
    tcpFinTimeoutMs: toMilliseconds(ipvs.tcpFinTimeout),
    udpTimeoutMs: toMilliseconds(ipvs.udpTimeout),
    drainTimeoutMs: toMilliseconds(weir.ipvs.drainTimeout),
  },
  windows: { ...winkernel, runAsService: windowsRunAsService },
})

import { type Cidr, cidrFamily, parseCidr } from '../model/cidr.ts'
import { localModes } from './config.ts'
import type { Issue } from './config-error.ts'
import type { Active } from './effective.ts'
import { featureGateIssues, isEnabled } from './feature-gates.ts'
import { formatGoDuration, type GoDuration } from './go-duration.ts'
import { isZeroQuantity } from './go-values.ts'
import { masqueradeSection, periodSection, requestableModes } from './mode.ts'
import type { Settings } from './shape.ts'
import { weirDefaults, weirIssues } from './weir-section.ts'

const shown = (value: unknown): string => (typeof value === 'bigint' ? String(value) : JSON.stringify(value))

export const invalid = (field: string, value: unknown, why: string): Issue => ({
  field,
  reason: `Invalid value: ${shown(value)}: ${why}`,
})

const invalidDuration = (field: string, value: GoDuration, why: string): Issue =>
  invalid(field, formatGoDuration(value), why)

const notNegative = 'must be greater than or equal to 0'
const maxVerbosity = 2 ** 31 - 1
/** `--show-hidden-metrics-for-version` follows the Kubernetes release that weir is compatible with, v1.36. */
const previousMinor = '1.35'

/** Everything that kube-proxy validates except addresses and CIDRs, which are parsed instead. */
export const settingsIssues = (settings: Settings, active: Active): readonly Issue[] => [
  ...featureGateIssues(settings.featureGates),
  ...modeIssues(settings, active),
  ...numberIssues(settings),
  ...ipvsIssues(settings),
  ...localIssues(settings),
  ...loggingIssues(settings),
  ...weirIssues(settings.weir ?? weirDefaults),
]

const modeIssues = (settings: Settings, active: Active): readonly Issue[] => {
  const issues: Issue[] = []
  if (!requestableModes.some((mode) => mode === settings.mode)) {
    issues.push(
      invalid('mode', settings.mode, 'must be iptables, ipvs, nftables, userspace or blank (blank means nftables)'),
    )
  }
  const bits = new Set(['iptables', masqueradeSection(settings.mode)] as const)
  for (const section of bits) {
    const bit = settings[section].masqueradeBit
    if (bit < 0 || bit > 31) issues.push(invalid(`${section}.masqueradeBit`, bit, 'must be within the range [0, 31]'))
  }
  const section = periodSection(settings.mode)
  const { syncPeriod, minSyncPeriod } = active
  if (syncPeriod <= 0n) issues.push(invalidDuration(`${section}.syncPeriod`, syncPeriod, 'must be greater than 0'))
  if (minSyncPeriod < 0n) issues.push(invalidDuration(`${section}.minSyncPeriod`, minSyncPeriod, notNegative))
  if (syncPeriod > 0n && minSyncPeriod > syncPeriod) {
    const why = `must be greater than or equal to ${section}.minSyncPeriod (${formatGoDuration(minSyncPeriod)})`
    issues.push(invalidDuration(`${section}.syncPeriod`, syncPeriod, why))
  }
  return issues
}

const numberIssues = (settings: Settings): readonly Issue[] => {
  const { conntrack, oomScoreAdj, configSyncPeriod, clientConnection, showHiddenMetricsForVersion } = settings
  const issues: Issue[] = []
  for (const [name, value] of Object.entries(conntrack)) {
    if (typeof value === 'number' && value < 0) issues.push(invalid(`conntrack.${name}`, value, notNegative))
    if (typeof value === 'bigint' && value < 0n) issues.push(invalidDuration(`conntrack.${name}`, value, notNegative))
  }
  if (oomScoreAdj < -1000 || oomScoreAdj > 1000) {
    issues.push(invalid('oomScoreAdj', oomScoreAdj, 'must be within the range [-1000, 1000]'))
  }
  if (configSyncPeriod <= 0n) {
    issues.push(invalidDuration('configSyncPeriod', configSyncPeriod, 'must be greater than 0'))
  }
  if (clientConnection.burst < 0) {
    issues.push(invalid('clientConnection.burst', clientConnection.burst, notNegative))
  }
  if (showHiddenMetricsForVersion !== '' && showHiddenMetricsForVersion !== previousMinor) {
    const why = `must be omitted or have the value '${previousMinor}'; only the previous minor version is allowed`
    issues.push(invalid('showHiddenMetricsForVersion', showHiddenMetricsForVersion, why))
  }
  return issues
}

/** Only in mode ipvs; whether there is a scheduler of that name shows when the program starts. */
const ipvsIssues = ({ mode, ipvs }: Settings): readonly Issue[] => {
  if (mode !== 'ipvs') return []
  const timeouts = (['tcpTimeout', 'tcpFinTimeout', 'udpTimeout'] as const).filter((name) => ipvs[name] < 0n)
  return [
    ...timeouts.map((name) => invalidDuration(`ipvs.${name}`, ipvs[name], notNegative)),
    ...ipvs.excludeCIDRs.flatMap((cidr, index) => cidrIssues(`ipvs.excludeCIDRs[${index}]`, cidr)),
  ]
}

export const cidrIssues = (field: string, text: string): readonly Issue[] =>
  parseCidr(text) === undefined
    ? [invalid(field, text, 'must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)')]
    : []

/** One CIDR, or one of each family. */
export const clusterCidrIssues = (text: string): readonly Issue[] => {
  const parts = text.split(',')
  if (parts.length === 1) return cidrIssues('clusterCIDR', text)
  const cidrs = parts.map(parseCidr).filter((cidr): cidr is Cidr => cidr !== undefined)
  const dual = new Set(cidrs.map(cidrFamily)).size === 2
  if (parts.length === 2 && cidrs.length === 2 && dual) return []
  const why = 'must be one CIDR or a dual-stack pair (e.g. 10.100.0.0/16,fde4:8dba:82e1::/48)'
  return [invalid('clusterCIDR', text, why)]
}

const localIssues = ({ detectLocalMode, detectLocal }: Settings): readonly Issue[] => {
  const issues: Issue[] = []
  if (!localModes.some((mode) => mode === detectLocalMode)) {
    const supported = localModes.map((mode) => `"${mode}"`).join(', ')
    const reason = `Unsupported value: ${shown(detectLocalMode)}: supported values: ${supported}`
    issues.push({ field: 'detectLocalMode', reason })
  }
  const needed = { BridgeInterface: 'bridgeInterface', InterfaceNamePrefix: 'interfaceNamePrefix' } as const
  for (const [mode, name] of Object.entries(needed)) {
    if (detectLocalMode === mode && detectLocal[name] === '') {
      issues.push(invalid(`detectLocal.${name}`, '', 'must not be empty'))
    }
  }
  return issues
}

const loggingIssues = ({ logging, featureGates }: Settings): readonly Issue[] => {
  const issues: Issue[] = []
  const { format, verbosity, vmodule, options } = logging
  if (format !== 'text' && format !== 'json') issues.push(invalid('logging.format', format, 'unsupported log format'))
  if (verbosity > maxVerbosity) issues.push(invalid('logging.verbosity', verbosity, `must be <= ${maxVerbosity}`))
  if (vmodule.length > 0 && format !== 'text') {
    issues.push({ field: 'logging.vmodule', reason: 'Forbidden: only supported for text log format' })
  }
  vmodule.forEach(({ filePattern, verbosity: level }, index) => {
    const field = `logging.vmodule[${index}]`
    if (filePattern === '') issues.push({ field, reason: 'Required value: file pattern must not be empty' })
    if (/[=,]/.test(filePattern)) {
      issues.push(invalid(field, filePattern, 'file pattern must not contain equal sign or comma'))
    }
    if (level > maxVerbosity) issues.push(invalid(field, level, `must be <= ${maxVerbosity}`))
  })
  if (isEnabled(featureGates, 'LoggingAlphaOptions')) return issues
  const reason = 'Forbidden: feature LoggingAlphaOptions is disabled'
  for (const stream of ['text', 'json'] as const) {
    const { splitStream, infoBufferSize } = options[stream]
    if (splitStream) issues.push({ field: `logging.options.${stream}.splitStream`, reason })
    if (!isZeroQuantity(infoBufferSize)) issues.push({ field: `logging.options.${stream}.infoBufferSize`, reason })
  }
  return issues
}

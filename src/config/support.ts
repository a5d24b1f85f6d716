import { gatesWithoutEffect } from './feature-gates.ts'
import type { FlagValues } from './flag-values.ts'
import { type FlagSpec, flags as flagTable } from './flags.ts'
import { masqueradeSection, modeOf, periodSection } from './mode.ts'
import type { Settings } from './shape.ts'
import { weirDefaults } from './weir-section.ts'

/** Fields that are read and validated, but that nothing acts on in this version. */
export const fieldsNotActedOn: readonly string[] = [
  'clientConnection.acceptContentTypes',
  'enableProfiling',
  'logging.flushFrequency',
  'logging.options.json.infoBufferSize',
  'logging.options.json.splitStream',
  'logging.options.text.infoBufferSize',
  'logging.options.text.splitStream',
  'logging.vmodule',
  'portRange',
  'showHiddenMetricsForVersion',
  'windowsRunAsService',
  'winkernel.enableDSR',
  'winkernel.forwardHealthCheckVip',
  'winkernel.networkName',
  'winkernel.rootHnsEndpointName',
  'winkernel.sourceVip',
]

const periodFields = ['syncPeriod', 'minSyncPeriod'] as const
const iptablesFields = ['iptables.localhostNodePorts', 'weir.iptables.ipset', 'weir.iptables.dispatch'] as const
const userspaceFields = [
  'threads',
  'redirect',
  'portRange',
  'connectTimeout',
  'tcpIdleTimeout',
  'udpTimeout',
  'maxConnections',
  'drainTimeout',
].map((name) => `weir.userspace.${name}`)
const ipvsFields = [
  'ipvs.scheduler',
  'ipvs.excludeCIDRs',
  'ipvs.strictARP',
  'ipvs.tcpTimeout',
  'ipvs.tcpFinTimeout',
  'ipvs.udpTimeout',
  'weir.ipvs.drainTimeout',
] as const
const masqueradeFields = ['masqueradeAll', 'masqueradeBit'] as const

/** Fields of sections that the mode does not read. */
const fieldsOfOtherModes = (mode: string): readonly string[] => [
  ...(['iptables', 'ipvs', 'nftables'] as const)
    .filter((section) => section !== periodSection(mode))
    .flatMap((section) => periodFields.map((name) => `${section}.${name}`)),
  ...(['iptables', 'nftables'] as const)
    // In mode userspace endpoints see the node anyway.
    .filter((section) => section !== masqueradeSection(mode) || mode === 'userspace')
    .flatMap((section) => masqueradeFields.map((name) => `${section}.${name}`)),
  ...(modeOf(mode) === 'iptables' ? [] : iptablesFields),
  ...(modeOf(mode) === 'iptables' || modeOf(mode) === 'ipvs' ? [] : ['weir.iptables.variant']),
  ...(modeOf(mode) === 'ipvs' ? [] : ipvsFields),
  ...(modeOf(mode) === 'userspace' ? [] : userspaceFields),
]

/**
 * One line for everything that was set to something else than `defaults` and has no effect. What came from a flag of
 * `counted` is named as that flag.
 */
export const supportWarnings = (
  settings: Settings,
  defaults: Settings,
  counted: ReadonlySet<string>,
): readonly string[] => {
  const { mode } = settings
  const changed = (field: string): boolean => text(valueAt(settings, field)) !== text(valueAt(defaults, field))
  const name = (field: string): string => flagFor(field, counted) ?? field
  const modeName = mode === '' ? 'nftables' : mode
  return [
    ...modeWarnings(mode),
    ...fieldsNotActedOn.filter(changed).map((field) => `${name(field)} is accepted, but weir does not act on it yet`),
    ...fieldsOfOtherModes(mode)
      .filter(changed)
      .map((field) => `${name(field)} has no effect in mode ${modeName}`),
    ...contentTypeWarnings(settings, name('clientConnection.contentType')),
    ...gatesWithoutEffect(settings.featureGates).map(
      (gate) => `feature gate ${gate} is accepted, but weir does not act on it`,
    ),
  ]
}

const table: readonly FlagSpec[] = flagTable

/** The flags given that count beside a file, and those that the file overrules. */
export const flagsBesideFile = (
  flags: FlagValues,
): { readonly counted: ReadonlySet<string>; readonly overruled: readonly string[] } => {
  const given = givenFlags(flags)
  const withConfig = (name: string): boolean => table.some((flag) => flag.name === name && flag.withConfig === true)
  const names = [...given]
  return { counted: new Set(names.filter(withConfig)), overruled: names.filter((name) => !withConfig(name)) }
}

export const givenFlags = (flags: FlagValues): ReadonlySet<string> => new Set(Object.keys(flags))

const modeWarnings = (mode: string): readonly string[] =>
  mode === '' ? ["mode is not set: using nftables (kube-proxy's default is iptables)"] : []

/** weir always speaks JSON with the API server. */
const contentTypeWarnings = ({ clientConnection: { contentType } }: Settings, name: string): readonly string[] =>
  contentType === 'application/vnd.kubernetes.protobuf' || contentType === 'application/json'
    ? []
    : [`${name} is accepted, but weir always uses application/json`]

const flagFor = (field: string, counted: ReadonlySet<string>): string | undefined => {
  const flag = table.find((candidate) => candidate.field === field && counted.has(candidate.name))
  return flag === undefined ? undefined : `--${flag.name}`
}

const valueAt = (settings: Settings, field: string): unknown =>
  field.split('.').reduce<unknown>((value, key) => Object.entries(value ?? {}).find(([name]) => name === key)?.[1], {
    ...settings,
    weir: settings.weir ?? weirDefaults,
  })

const text = (value: unknown): string =>
  JSON.stringify(value, (_key, part: unknown) => (typeof part === 'bigint' ? `${part}ns` : part)) ?? ''

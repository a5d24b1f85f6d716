import { stringify } from 'yaml'
import type { Config } from './config.ts'
import type { FeatureGates } from './feature-gates.ts'
import type { VModule } from './flag-values.ts'
import { formatGoDuration, type GoDuration, zeroDuration } from './go-duration.ts'
import { masqueradeSection, modeOf, periodSection } from './mode.ts'
import type { Settings } from './shape.ts'
import { externalWeir } from './weir-section.ts'

/** A part of the configuration as JSON has it: durations are Go's text, a list that was not given is null. */
type External<T> = T extends GoDuration
  ? string
  : T extends readonly string[]
    ? readonly string[] | null
    : T extends string | number | boolean
      ? T
      : { readonly [K in keyof T]: External<T[K]> }

interface Stream {
  readonly splitStream: true | undefined
  readonly infoBufferSize: string
}

/**
 * KubeProxyConfiguration v1alpha1 as `/configz` and `--write-config-to` show it. What is undefined is left out, as Go
 * leaves out empty `omitempty` fields.
 */
export type KubeProxyConfigurationV1Alpha1 = External<
  Omit<Settings, 'featureGates' | 'logging' | 'windowsRunAsService' | 'weir'>
> & {
  readonly kind: 'KubeProxyConfiguration'
  readonly apiVersion: 'kubeproxy.config.k8s.io/v1alpha1'
  readonly featureGates: FeatureGates | undefined
  readonly windowsRunAsService: true | undefined
  readonly weir: ReturnType<typeof externalWeir> | undefined
  readonly logging: {
    readonly format: string
    readonly flushFrequency: string
    readonly verbosity: number
    readonly vmodule: readonly VModule[] | undefined
    readonly options: { readonly text: Stream; readonly json: Stream }
  }
}

/**
 * The configuration that is in force, in the shape of the file. Loading it again gives the same configuration. As in
 * kube-proxy, periods and masqueradeAll stand in the section of the active mode only; the others show zero values. A
 * minSyncPeriod that nobody set shows as `0s`: weir then applies changes at once.
 */
export const effectiveConfiguration = (config: Config): KubeProxyConfigurationV1Alpha1 => config.effective

/** The document that `--write-config-to` writes: YAML with sorted keys, as Kubernetes' serializer writes it. */
export const toYaml = (configuration: KubeProxyConfigurationV1Alpha1): string =>
  stringify(configuration, { sortMapEntries: true, version: '1.1', lineWidth: 0 })

const list = (items: readonly string[]): readonly string[] | null => (items.length === 0 ? null : items)

export interface Periods {
  readonly syncPeriod: GoDuration
  readonly minSyncPeriod: GoDuration
}

/** What the sections of the requested mode decide, whichever backend is used. */
export interface Active extends Periods {
  readonly minSyncPeriodExplicit: boolean
  readonly masqueradeAll: boolean
  readonly masqueradeBit: number
}

export const activeOf = (settings: Settings, minSyncPeriodExplicit: boolean): Active => {
  const { syncPeriod, minSyncPeriod } = settings[periodSection(settings.mode)]
  const { masqueradeAll, masqueradeBit } = settings[masqueradeSection(settings.mode)]
  return { syncPeriod, minSyncPeriod, minSyncPeriodExplicit, masqueradeAll, masqueradeBit }
}

/** The settings in the mode that runs. */
export const externalOf = (settings: Settings, active: Active): KubeProxyConfigurationV1Alpha1 => {
  const off = { syncPeriod: formatGoDuration(zeroDuration), minSyncPeriod: formatGoDuration(zeroDuration) }
  const { ipvs, iptables, nftables, conntrack, logging } = settings
  const mode = modeOf(settings.mode)
  const running = {
    masqueradeAll: active.masqueradeAll,
    masqueradeBit: active.masqueradeBit,
    syncPeriod: formatGoDuration(active.syncPeriod),
    minSyncPeriod: formatGoDuration(active.minSyncPeriodExplicit ? active.minSyncPeriod : zeroDuration),
  }
  const resting = { ...off, masqueradeAll: false }
  const { syncPeriod, minSyncPeriod, ...masquerade } = running
  return {
    ...settings,
    kind: 'KubeProxyConfiguration',
    apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
    mode,
    featureGates: Object.keys(settings.featureGates).length === 0 ? undefined : settings.featureGates,
    logging: {
      ...logging,
      flushFrequency: formatGoDuration(logging.flushFrequency),
      vmodule: logging.vmodule.length === 0 ? undefined : logging.vmodule,
      options: { text: stream(logging.options.text), json: stream(logging.options.json) },
    },
    iptables: {
      ...iptables,
      ...(mode === 'iptables' ? running : mode === 'ipvs' ? { ...off, ...masquerade } : resting),
    },
    ipvs: {
      ...ipvs,
      ...(mode === 'ipvs' ? { syncPeriod, minSyncPeriod } : off),
      excludeCIDRs: list(ipvs.excludeCIDRs),
      tcpTimeout: formatGoDuration(ipvs.tcpTimeout),
      tcpFinTimeout: formatGoDuration(ipvs.tcpFinTimeout),
      udpTimeout: formatGoDuration(ipvs.udpTimeout),
    },
    nftables: { ...nftables, ...(mode === 'nftables' ? running : resting) },
    nodePortAddresses: list(settings.nodePortAddresses),
    conntrack: {
      ...conntrack,
      tcpEstablishedTimeout: formatGoDuration(conntrack.tcpEstablishedTimeout),
      tcpCloseWaitTimeout: formatGoDuration(conntrack.tcpCloseWaitTimeout),
      udpTimeout: formatGoDuration(conntrack.udpTimeout),
      udpStreamTimeout: formatGoDuration(conntrack.udpStreamTimeout),
    },
    configSyncPeriod: formatGoDuration(settings.configSyncPeriod),
    windowsRunAsService: settings.windowsRunAsService || undefined,
    weir: settings.weir === undefined ? undefined : externalWeir(settings.weir),
  }
}

const stream = ({ splitStream, infoBufferSize }: Settings['logging']['options']['text']): Stream => ({
  splitStream: splitStream || undefined,
  infoBufferSize,
})

import type { Cidr } from '../model/cidr.ts'
import type { Family, IP } from '../model/ip.ts'
import type { KubeProxyConfigurationV1Alpha1 } from './effective.ts'
import type { FeatureGates } from './feature-gates.ts'
import type { VModule } from './flag-values.ts'
import type { Bind } from './go-values.ts'
import type { Mode, RequestedMode } from './mode.ts'
import type { IptablesDispatch, IptablesVariant, UserspaceRedirect } from './weir-section.ts'

export const localModes = ['ClusterCIDR', 'NodeCIDR', 'BridgeInterface', 'InterfaceNamePrefix'] as const
export type LocalMode = (typeof localModes)[number]

/**
 * What the process is to do. `write-config` beats `cleanup`, which beats `init-only`, as in kube-proxy; `render`
 * and `status` are weir's own.
 */
export type Action = 'run' | 'render' | 'status' | 'write-config' | 'cleanup' | 'init-only'

export interface DetectLocalConfig {
  readonly mode: LocalMode
  /** At most one of each family; empty in every mode but ClusterCIDR. */
  readonly clusterCidrs: readonly Cidr[]
  /** '' in every mode but BridgeInterface. */
  readonly bridgeInterface: string
  /** '' in every mode but InterfaceNamePrefix. */
  readonly interfaceNamePrefix: string
}

/** `unset` is left to the mode: `primary` in nftables, every address in the modes iptables and ipvs. */
export type NodePortAddressesConfig =
  | { readonly kind: 'unset' }
  | { readonly kind: 'primary' }
  | { readonly kind: 'cidrs'; readonly cidrs: readonly Cidr[] }

export interface ClientConfig {
  /** '' = none: with no master either, the in-cluster configuration. */
  readonly kubeconfig: string
  /** '' = what the kubeconfig says. */
  readonly master: string
  readonly qps: number
  readonly burst: number
  readonly contentType: string
  readonly acceptContentTypes: string
}

/** 0 leaves a kernel setting alone. */
export interface ConntrackConfig {
  readonly maxPerCore: number
  readonly min: number
  readonly tcpEstablishedTimeoutMs: number
  readonly tcpCloseWaitTimeoutMs: number
  readonly tcpBeLiberal: boolean
  readonly udpTimeoutMs: number
  readonly udpStreamTimeoutMs: number
}

export interface LogStreamConfig {
  readonly splitStream: boolean
  /** A resource quantity such as `64Ki`. */
  readonly infoBufferSize: string
}

export interface LoggingConfig {
  readonly format: 'text' | 'json'
  readonly verbosity: number
  readonly vmodule: readonly VModule[]
  readonly flushFrequencyMs: number
  readonly text: LogStreamConfig
  readonly json: LogStreamConfig
}

export interface IptablesConfig {
  readonly masqueradeBit: number
  /** NodePorts answer on IPv4 loopback addresses, in mode iptables. */
  readonly localhostNodePorts: boolean
  readonly variant: IptablesVariant
  /** Sets carry what need not be a rule per Service; otherwise the rules are kube-proxy's. */
  readonly ipset: boolean
  readonly dispatch: IptablesDispatch
}

/** Mode userspace. A timeout of 0 never runs out. */
export interface UserspaceConfig {
  /** 1 or more. */
  readonly threads: number
  readonly redirect: UserspaceRedirect
  /** Loopback ports for cluster IPs; both ends belong to it. */
  readonly portRange: { readonly first: number; readonly last: number }
  readonly connectTimeoutMs: number
  readonly tcpIdleTimeoutMs: number
  readonly udpTimeoutMs: number
  /** Of the process; undefined = as many as it has descriptors for. */
  readonly maxConnections: number | undefined
  /** How long connections may go on once the process is told to end; 0 = not at all. */
  readonly drainTimeoutMs: number
}

/** Mode ipvs. A timeout of 0 leaves the kernel's alone. */
export interface IpvsConfig {
  /** '' = rr. Not checked: whether there is one of that name shows at start. */
  readonly scheduler: string
  /** Virtual servers inside them are left alone. */
  readonly excludeCidrs: readonly Cidr[]
  readonly strictArp: boolean
  readonly tcpTimeoutMs: number
  readonly tcpFinTimeoutMs: number
  readonly udpTimeoutMs: number
  /** How long a removed endpoint may keep its connections; 0 = as long as they last. */
  readonly drainTimeoutMs: number
}

/** Kept so that a shared file survives a round trip; nothing reads it on Linux. */
export interface WindowsConfig {
  readonly networkName: string
  readonly sourceVip: string
  readonly enableDSR: boolean
  readonly rootHnsEndpointName: string
  readonly forwardHealthCheckVip: boolean
  readonly runAsService: boolean
}

/** The whole configuration: defaulted, validated, parsed. Durations are milliseconds, fractions included. */
export interface Config {
  readonly action: Action
  /** The backend that is used; what the user asked for is `requestedMode`. */
  readonly mode: Mode
  /** Decides which section supplied periods, masqueradeAll and masqueradeBit, and what unset NodePort addresses mean. */
  readonly requestedMode: RequestedMode
  /** Lower case; undefined = the host name. */
  readonly hostnameOverride: string | undefined
  readonly bindAddress: IP
  /** bindAddress when it is a specific address: then it is the node's primary IP. */
  readonly nodeIPOverride: IP | undefined
  /** undefined = no health server. */
  readonly healthz: Bind | undefined
  readonly metrics: Bind
  readonly bindAddressHardFail: boolean
  readonly profiling: boolean
  readonly showHiddenMetricsForVersion: string
  readonly syncPeriodMs: number
  readonly minSyncPeriodMs: number
  /** The user set minSyncPeriod (a 0 in a file counts as unset). Otherwise weir applies changes at once. */
  readonly minSyncPeriodExplicit: boolean
  readonly masqueradeAll: boolean
  /** 0 to 31; the mark is `1 << masqueradeBit`. */
  readonly masqueradeBit: number
  readonly detectLocal: DetectLocalConfig
  readonly nodePortAddresses: NodePortAddressesConfig
  /** As set; gates that were left alone are absent. */
  readonly featureGates: FeatureGates
  /** Gate AllowServiceExternalIPs. */
  readonly allowExternalIPs: boolean
  readonly client: ClientConfig
  /** How often everything is compared with the API again. */
  readonly configSyncPeriodMs: number
  readonly conntrack: ConntrackConfig
  /** -1000 to 1000. */
  readonly oomScoreAdj: number
  readonly logging: LoggingConfig
  readonly iptables: IptablesConfig
  readonly userspace: UserspaceConfig
  readonly ipvs: IpvsConfig
  readonly windows: WindowsConfig
  /** Watched: the process exits when it changes. undefined = flags only. */
  readonly configFile: string | undefined
  /** Set when action is `write-config`. */
  readonly writeConfigTo: string | undefined
  /** Folders of manifests to serve instead of a cluster. */
  readonly manifests: readonly string[]
  /** Sync once and exit. */
  readonly once: boolean
  /** render: this family only. */
  readonly renderFamily: Family | undefined
  /** status: print JSON. */
  readonly json: boolean
  /** Serve only Services with this service-proxy-name label; undefined = only those without the label. */
  readonly serviceProxyName: string | undefined
  /** See effectiveConfiguration. */
  readonly effective: KubeProxyConfigurationV1Alpha1
}

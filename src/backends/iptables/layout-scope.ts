import type { ServiceState, Target } from '../../model/desired.ts'
import type { HostState } from '../../model/host.ts'
import type { TrafficPolicy } from '../../model/service.ts'
import { addressText, serviceChain } from './names.ts'
import type { IptablesSettings } from './settings.ts'

/** What the rules of a service port depend on besides itself. */
export interface LayoutContext {
  readonly host: HostState
  readonly settings: IptablesSettings
  /** More than 1000 endpoints in the family: rules of endpoints go without comments. */
  readonly large: boolean
}

/**
 * What becomes of packets that no rule of table nat has taken. `RESET`, where `weir.dev/reset-stale-tcp` asks for it: what
 * kube-proxy answers, ICMP's port unreachable, ends no connection that has been made.
 */
export type Refusal = 'REJECT' | 'RESET' | 'DROP'

/** What follows from a state for both layouts. */
export interface Scope {
  /** Targets of KUBE-SVC- and of KUBE-SVL-; empty when nothing leads to that chain. */
  readonly cluster: readonly Target[]
  readonly local: readonly Target[]
  /** The cluster IP has a rule in table nat. */
  readonly internal: boolean
  /** NodePort, external and load balancer IPs have rules in table nat, if only for pods and the node itself. */
  readonly external: boolean
  /** Undefined: packets to the cluster IP are taken in table nat. */
  readonly internalRefusal: Refusal | undefined
  /** Undefined: packets from anywhere to external addresses are taken in table nat. */
  readonly externalRefusal: Refusal | undefined
  /** Load balancer IPs are for some sources only. Without endpoints they are refused for all. */
  readonly guarded: boolean
}

const none: readonly Target[] = []

export const scopeOf = (state: ServiceState): Scope => {
  const { clusterIP, nodePort, externalIPs, loadBalancerIPs, internalPolicy, externalPolicy } = state
  const accessible = nodePort !== undefined || externalIPs.length > 0 || loadBalancerIPs.length > 0
  const leadsTo = (policy: TrafficPolicy): boolean => clusterIP !== undefined && internalPolicy === policy
  const external = accessible && state.hasEndpoints && state.cluster.length > 0
  const internalRefusal = refusalUnder(internalPolicy, state)
  return {
    // Under externalTrafficPolicy Local too: pods and the node itself are sent to all.
    cluster: accessible || leadsTo('Cluster') ? state.cluster : none,
    local: (accessible && externalPolicy === 'Local') || leadsTo('Local') ? state.local : none,
    internal: clusterIP !== undefined && internalRefusal === undefined,
    external,
    internalRefusal,
    externalRefusal: refusalUnder(externalPolicy, state),
    guarded: external && loadBalancerIPs.length > 0 && (state.sourceRanges?.length ?? 0) > 0,
  }
}

const refusalUnder = (policy: TrafficPolicy, state: ServiceState): Refusal | undefined => {
  const { hasEndpoints, cluster, local, protocol, connections } = state
  if (hasEndpoints && (policy === 'Local' ? local : cluster).length > 0) return undefined
  if (hasEndpoints && policy === 'Local') return 'DROP'
  return protocol === 'TCP' && connections.resetStaleTcp ? 'RESET' : 'REJECT'
}

/** The chain that the cluster IP leads to. */
export const internalChain = (state: ServiceState): string =>
  serviceChain(state.internalPolicy === 'Local' ? 'SVL' : 'SVC', state)

/** Both lists, each target once. */
export const reachable = ({ cluster, local }: Scope): readonly Target[] => {
  if (local.length === 0) return cluster
  if (cluster.length === 0) return local
  const known = new Set(cluster.map(addressText))
  return [...cluster, ...local.filter((target) => !known.has(addressText(target)))]
}

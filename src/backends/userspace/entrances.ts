import type { ServiceState, Target } from '../../model/desired.ts'
import type { IP } from '../../model/ip.ts'
import type { Port } from '../../model/port.ts'
import type { TrafficPolicy } from '../../model/service.ts'
import type { VirtualServerSpec } from './forward/forwarder.ts'

/** The two lists of endpoints of a service port: those of either traffic policy. */
export const listNames = ['cluster', 'local'] as const
export type ListName = (typeof listNames)[number]

export type EntrancePlace =
  | { readonly kind: 'clusterIP' | 'externalIP' | 'loadBalancerIP'; readonly ip: IP; readonly port: Port }
  | { readonly kind: 'nodePort'; readonly port: Port }

/** Where a service port is asked for, and which list answers. */
export interface Entrance {
  readonly place: EntrancePlace
  /** For pods and the node itself. */
  readonly inside: ListName
  /** For everybody else. */
  readonly outside: ListName
}

/** docs/service-semantics.md S6.1 to S6.3. */
export const entrancesOf = (state: ServiceState): readonly Entrance[] => {
  const { clusterIP, loadBalancerIPs, externalIPs, nodePort, port } = state
  const internal = listOf(state.internalPolicy)
  const external = { inside: 'cluster', outside: listOf(state.externalPolicy) } as const
  const entrances: Entrance[] = []
  if (clusterIP !== undefined)
    entrances.push({ place: { kind: 'clusterIP', ip: clusterIP, port }, inside: internal, outside: internal })
  for (const ip of loadBalancerIPs) entrances.push({ place: { kind: 'loadBalancerIP', ip, port }, ...external })
  for (const ip of externalIPs) entrances.push({ place: { kind: 'externalIP', ip, port }, ...external })
  if (nodePort !== undefined) entrances.push({ place: { kind: 'nodePort', port: nodePort }, ...external })
  return entrances
}

const listOf = (policy: TrafficPolicy): ListName => (policy === 'Local' ? 'local' : 'cluster')

export const targetsOf = (state: ServiceState, list: ListName): readonly Target[] =>
  list === 'cluster' ? state.cluster : state.local

/** What becomes of a connection by a list: S6.5 and S6.6. */
export type Fate = 'served' | 'refused' | 'dropped'

export const fateOf = (state: ServiceState, list: ListName): Fate => {
  if (targetsOf(state, list).length > 0) return 'served'
  return state.hasEndpoints && list === 'local' ? 'dropped' : 'refused'
}

export const serverId = ({ id, family }: Pick<ServiceState, 'id' | 'family'>, list: ListName): string =>
  `${id} ${family} ${list}`

/** The virtual servers of a service port: one for each list that an entrance leads to. SCTP has none. */
export const serversOf = (state: ServiceState): readonly VirtualServerSpec[] => {
  const { protocol } = state
  if (protocol === 'SCTP') return []
  const used = new Set(entrancesOf(state).flatMap(({ inside, outside }) => [inside, outside]))
  const { proxyProtocol, maxConnections } = state.connections
  return listNames
    .filter((list) => used.has(list))
    .map((list) => ({
      id: serverId(state, list),
      protocol,
      targets: targetsOf(state, list),
      scheduling: state.scheduling,
      affinitySeconds: state.affinitySeconds,
      proxyProtocol: proxyProtocol && protocol === 'TCP',
      maxConnections,
    }))
}

import type { Family, IP } from '../../model/ip.ts'
import type { Protocol } from '../../model/protocol.ts'
import type { Scheduler } from '../../model/scheduling.ts'
import type { ServedPort } from './backend.ts'
import { type ListName, listNames, serverId } from './entrances.ts'
import type { EndpointStats, ForwarderStats, ServerStats } from './forward/forwarder.ts'
import type { Reach } from './settings.ts'

export interface SocketStatus {
  readonly address: IP
  /** undefined: it does not listen. */
  readonly port: number | undefined
  readonly error: string | undefined
}

export type EndpointStatus = EndpointStats

export interface ListStatus extends Omit<ServerStats, 'id' | 'protocol' | 'endpoints'> {
  readonly list: ListName
  readonly endpoints: readonly EndpointStatus[]
}

export interface ServicePortStatus {
  /** `namespace/name:port` */
  readonly name: string
  readonly protocol: Protocol
  readonly family: Family
  readonly port: number
  readonly clusterIP: IP | undefined
  readonly externalIPs: readonly IP[]
  readonly loadBalancerIPs: readonly IP[]
  readonly nodePort: number | undefined
  readonly scheduler: Scheduler
  /** At a time, by annotation; undefined: any number. */
  readonly maxConnections: number | undefined
  readonly proxyProtocol: boolean
  readonly sockets: readonly SocketStatus[]
  readonly lists: readonly ListStatus[]
}

/** What `weir status --json` prints. */
export interface UserspaceStatus {
  readonly mode: 'userspace'
  readonly reach: Reach['kind']
  readonly process: Omit<ForwarderStats, 'servers' | 'listeners'>
  /** By name, protocol and family. */
  readonly servicePorts: readonly ServicePortStatus[]
}

export const userspaceStatus = (
  reach: Reach['kind'],
  served: Iterable<ServedPort>,
  stats: ForwarderStats,
): UserspaceStatus => {
  const { servers, listeners: _, ...process } = stats
  const byId = new Map(servers.map((server) => [server.id, server]))
  const servicePorts = [...served]
    .map((port) => servicePortStatus(port, byId))
    .sort((a, b) => compare(sortKey(a), sortKey(b)))
  return { mode: 'userspace', reach, process, servicePorts }
}

const servicePortStatus = (
  { state, sockets }: ServedPort,
  servers: ReadonlyMap<string, ServerStats>,
): ServicePortStatus => ({
  name: state.name,
  protocol: state.protocol,
  family: state.family,
  port: state.port,
  clusterIP: state.clusterIP,
  externalIPs: state.externalIPs,
  loadBalancerIPs: state.loadBalancerIPs,
  nodePort: state.nodePort,
  scheduler: state.scheduling.scheduler,
  maxConnections: state.connections.maxConnections,
  proxyProtocol: state.connections.proxyProtocol,
  sockets: sockets.map(({ spec, state: { port, error } }) => ({ address: spec.address, port, error: error?.message })),
  lists: listNames.flatMap((list) => {
    const server = servers.get(serverId(state, list))
    if (server === undefined) return []
    const { id: _id, protocol: _protocol, ...traffic } = server
    return [{ list, ...traffic }]
  }),
})

const sortKey = ({ name, protocol, family }: ServicePortStatus): string => `${name} ${protocol} ${family}`

const compare = (a: string, b: string): number => (a < b ? -1 : Number(a > b))

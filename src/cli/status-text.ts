import type {
  EndpointStatus,
  ListStatus,
  ServicePortStatus,
  SocketStatus,
  UserspaceStatus,
} from '../backends/userspace/status.ts'

const reaches = {
  redirect: 'nftables leads traffic here',
  listen: 'listening on NodePorts and loopback ports, without privilege',
} as const satisfies Record<UserspaceStatus['reach'], string>

/** `weir status` for people: what is served, where, and the connections of every endpoint. Ends with a newline. */
export const statusText = (status: UserspaceStatus): string => {
  const { connections, udpSessions, threads, pausedThreads } = status.process
  const lines = [
    `mode userspace: ${reaches[status.reach]}`,
    `${count(connections, 'connection')}, of these ${count(udpSessions, 'UDP session')}; ${count(threads, 'thread')}`,
  ]
  if (pausedThreads > 0) lines.push('out of descriptors: no connection is accepted until one is free')
  if (status.servicePorts.length === 0) lines.push('', 'no Services')
  for (const port of status.servicePorts) lines.push('', ...servicePortLines(port))
  return `${lines.join('\n')}\n`
}

const count = (n: number, what: string): string => `${n} ${what}${n === 1 ? '' : 's'}`

const servicePortLines = (port: ServicePortStatus): readonly string[] => {
  const heading = [
    `${port.name}/${port.protocol.toLowerCase()}`,
    port.family,
    ...addressesOf(port),
    port.scheduler,
    ...(port.maxConnections === undefined ? [] : [`at most ${count(port.maxConnections, 'connection')}`]),
    ...(port.proxyProtocol ? ['PROXY protocol'] : []),
  ]
  return [heading.join('  '), ...port.sockets.map(socketLine), ...port.lists.flatMap(listLines)]
}

const at = (ip: string, port: number): string => (ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`)

const addressesOf = ({
  clusterIP,
  loadBalancerIPs,
  externalIPs,
  port,
  nodePort,
}: ServicePortStatus): readonly string[] => {
  const ips = [...(clusterIP === undefined ? [] : [clusterIP]), ...loadBalancerIPs, ...externalIPs]
  return [...ips.map((ip) => at(ip, port)), ...(nodePort === undefined ? [] : [`NodePort ${nodePort}`])]
}

const socketLine = ({ address, port, error }: SocketStatus): string =>
  port === undefined ? `  not listening on ${address}: ${error ?? 'not yet'}` : `  listens on ${at(address, port)}`

const columns = ['weight', 'active', 'inactive', 'total', 'failed'] as const

const listLines = (list: ListStatus): readonly string[] => {
  const title = list.list === 'local' ? '  endpoints on this node' : '  endpoints'
  const notes = [
    ...(list.limited > 0 ? [`${list.limited} turned away at the limit`] : []),
    ...(list.failed > 0 ? [`${list.failed} reached no endpoint`] : []),
  ]
  if (list.endpoints.length === 0) return [`${title}: none${notes.map((note) => `; ${note}`).join('')}`]
  const labels = list.endpoints.map(({ ip, port }) => `    ${at(ip, port)}`)
  const width = Math.max(title.length, ...labels.map((label) => label.length))
  const row = (label: string, cells: readonly (string | number)[], note = ''): string =>
    `${label.padEnd(width)}${cells.map((cell) => String(cell).padStart(10)).join('')}${note === '' ? '' : `  ${note}`}`
  return [
    row(title, columns, notes.join('; ')),
    ...list.endpoints.map((endpoint, i) =>
      row(
        labels[i] ?? '',
        columns.map((column) => endpoint[column]),
        conditionOf(endpoint),
      ),
    ),
  ]
}

const conditionOf = ({ draining, ejectedMs }: EndpointStatus): string => {
  if (draining) return 'draining'
  return ejectedMs === undefined ? '' : `ejected, tried again in ${Math.ceil(ejectedMs / 1000)} s`
}

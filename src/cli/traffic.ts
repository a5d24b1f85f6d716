import type { ServedPort } from '../backends/userspace/backend.ts'
import type { ForwarderStats, ServerStats } from '../backends/userspace/forward/forwarder.ts'
import type { ProcessTraffic, ServiceTraffic } from '../observe/metrics/userspace-metrics.ts'

/** What the forwarder counted, by service port: the virtual servers of its two lists together. */
export const processTraffic = (
  served: Iterable<ServedPort>,
  stats: ForwarderStats,
  ejections: number,
): ProcessTraffic => {
  const byId = new Map(stats.servers.map((server) => [server.id, server]))
  const services = [...served].map(({ state, servers }): ServiceTraffic => {
    const found = servers.flatMap((id) => byId.get(id) ?? [])
    const sum = (pick: (server: ServerStats) => number): number =>
      found.reduce((total, server) => total + pick(server), 0)
    return {
      servicePort: state.name,
      family: state.family,
      protocol: state.protocol,
      active: sum(({ active }) => active),
      inactive: sum(({ inactive }) => inactive),
      forwarded: sum(({ total }) => total),
      limited: sum(({ limited }) => limited),
      failed: sum(({ failed }) => failed),
      bytesIn: sum(({ bytesIn }) => bytesIn),
      bytesOut: sum(({ bytesOut }) => bytesOut),
      ejected: sum(({ endpoints }) => endpoints.filter(({ ejectedMs }) => ejectedMs !== undefined).length),
    }
  })
  const { udpSessions, pausedThreads, pauses, maxDescriptors } = stats
  return { services, udpSessions, pausedThreads, pauses, ejections, maxDescriptors }
}

import type { Ipvs, IpvsChange } from '../../src/kernel/ipvs/ipvs.ts'

/** What makes a clean table what this one is. */
export const tableOf = async (ipvs: Ipvs, signal: AbortSignal): Promise<readonly IpvsChange[]> => {
  const changes: IpvsChange[] = []
  for (const { counters: _, ...server } of await ipvs.virtualServers(signal)) {
    const { id } = server
    changes.push({ kind: 'addVirtualServer', server })
    for (const { ip, port, forwarding, weight, upperThreshold, lowerThreshold } of await ipvs.realServers(id, signal))
      changes.push({
        kind: 'addRealServer',
        id,
        server: { ip, port, forwarding, weight, upperThreshold, lowerThreshold },
      })
  }
  return changes
}

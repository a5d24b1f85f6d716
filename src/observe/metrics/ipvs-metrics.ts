import { Gauge, type Registry } from 'prom-client'
import type { Family } from '../../model/ip.ts'

/** What one family has in the kernel in mode ipvs. */
export interface ServerCounts {
  readonly family: Family
  readonly virtualServers: number
  readonly realServers: number
  /** Real servers that were removed, and keep the connections that they have. */
  readonly draining: number
}

/** Read at each scrape. */
export const ipvsMetrics = (registry: Registry, read: () => readonly ServerCounts[]): void => {
  const gauge = (name: string, help: string, value: (counts: ServerCounts) => number): void => {
    new Gauge({
      name: `weir_ipvs_${name}`,
      help,
      labelNames: ['ip_family'],
      registers: [registry],
      collect() {
        for (const counts of read()) this.set({ ip_family: counts.family }, value(counts))
      },
    })
  }
  gauge('virtual_servers', 'Virtual servers that are ours', ({ virtualServers }) => virtualServers)
  gauge('real_servers', 'Real servers of these that get connections', ({ realServers }) => realServers)
  gauge(
    'draining_real_servers',
    'Real servers that were removed and keep the connections they have',
    ({ draining }) => draining,
  )
}

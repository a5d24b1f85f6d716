import { Registry } from 'prom-client'
import { expect, it } from 'vitest'
import { ipvsMetrics, type ServerCounts } from '../../../src/observe/metrics/ipvs-metrics.ts'

it('counts servers anew at each scrape', async () => {
  const registry = new Registry()
  let now: readonly ServerCounts[] = []
  ipvsMetrics(registry, () => now)
  const lines = async (): Promise<readonly string[]> =>
    (await registry.metrics()).split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  expect(await lines()).toEqual([])
  now = [
    { family: 'IPv4', virtualServers: 3, realServers: 5, draining: 1 },
    { family: 'IPv6', virtualServers: 0, realServers: 0, draining: 0 },
  ]
  expect(await lines()).toEqual([
    'weir_ipvs_virtual_servers{ip_family="IPv4"} 3',
    'weir_ipvs_virtual_servers{ip_family="IPv6"} 0',
    'weir_ipvs_real_servers{ip_family="IPv4"} 5',
    'weir_ipvs_real_servers{ip_family="IPv6"} 0',
    'weir_ipvs_draining_real_servers{ip_family="IPv4"} 1',
    'weir_ipvs_draining_real_servers{ip_family="IPv6"} 0',
  ])
})

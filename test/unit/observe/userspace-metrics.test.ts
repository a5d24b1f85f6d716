import { Registry } from 'prom-client'
import { expect, it } from 'vitest'
import {
  type ProcessTraffic,
  type ServiceTraffic,
  userspaceMetrics,
} from '../../../src/observe/metrics/userspace-metrics.ts'

const service = (servicePort: string, over: Partial<ServiceTraffic> = {}): ServiceTraffic => ({
  servicePort,
  family: 'IPv4',
  protocol: 'TCP',
  active: 0,
  inactive: 0,
  forwarded: 0,
  limited: 0,
  failed: 0,
  bytesIn: 0,
  bytesOut: 0,
  ejected: 0,
  ...over,
})
const traffic = (services: readonly ServiceTraffic[], over: Partial<ProcessTraffic> = {}): ProcessTraffic => ({
  services,
  udpSessions: 0,
  pausedThreads: 0,
  pauses: 0,
  ejections: 0,
  maxDescriptors: 1000,
  ...over,
})

it('shows what is read at each scrape, and forgets Services that are gone', async () => {
  const registry = new Registry()
  let now = traffic([])
  userspaceMetrics(registry, () => now)
  const lines = async (): Promise<readonly string[]> =>
    (await registry.metrics()).split('\n').filter((line) => line !== '' && !line.startsWith('#'))

  const numbers = { active: 1, inactive: 2, forwarded: 3, limited: 4, failed: 5, bytesIn: 6, bytesOut: 7, ejected: 8 }
  now = traffic([service('ns/web:http', numbers)], { udpSessions: 9, pausedThreads: 1, pauses: 10, ejections: 11 })
  const labels = 'service_port="ns/web:http",ip_family="IPv4",protocol="tcp"'
  const expected = [
    `weir_userspace_connections{${labels},state="active"} 1`,
    `weir_userspace_connections{${labels},state="inactive"} 2`,
    `weir_userspace_connections_total{${labels},result="forwarded"} 3`,
    `weir_userspace_connections_total{${labels},result="limited"} 4`,
    `weir_userspace_connections_total{${labels},result="refused"} 5`,
    `weir_userspace_bytes_total{${labels},direction="in"} 6`,
    `weir_userspace_bytes_total{${labels},direction="out"} 7`,
    `weir_userspace_ejected_endpoints{${labels}} 8`,
    'weir_userspace_udp_sessions 9',
    'weir_userspace_max_descriptors 1000',
    'weir_userspace_accept_paused_threads 1',
    'weir_userspace_accept_pauses_total 10',
    'weir_userspace_ejections_total 11',
  ]
  expect(await lines()).toEqual(expected)
  expect(await lines()).toEqual(expected)

  now = traffic([service('ns/api:http')])
  const after = await lines()
  expect(after.some((line) => line.includes('ns/web'))).toBe(false)
  expect(after).toContain('weir_userspace_udp_sessions 0')
})

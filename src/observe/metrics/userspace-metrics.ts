import { Counter, Gauge, type Registry } from 'prom-client'
import type { Family } from '../../model/ip.ts'
import type { Protocol } from '../../model/protocol.ts'

/** What passed through this process for one service port in one family. */
export interface ServiceTraffic {
  /** `namespace/name:port` */
  readonly servicePort: string
  readonly family: Family
  readonly protocol: Protocol
  readonly active: number
  readonly inactive: number
  /** Since it is known; so all that follow. */
  readonly forwarded: number
  readonly limited: number
  readonly failed: number
  readonly bytesIn: number
  readonly bytesOut: number
  /** Endpoints that get nothing at the moment because they did not accept. */
  readonly ejected: number
}

export interface ProcessTraffic {
  readonly services: readonly ServiceTraffic[]
  readonly udpSessions: number
  /** Threads that do not accept because descriptors have run out. */
  readonly pausedThreads: number
  readonly pauses: number
  readonly ejections: number
  readonly maxDescriptors: number
}

const labelNames = ['service_port', 'ip_family', 'protocol'] as const

/** Read at each scrape. One series per service port, not per endpoint: `weir status` has those. */
export const userspaceMetrics = (registry: Registry, read: () => ProcessTraffic): void => {
  const registers = [registry]
  const labels = ({ servicePort: service_port, family: ip_family, protocol }: ServiceTraffic) => ({
    service_port,
    ip_family,
    protocol: protocol.toLowerCase(),
  })
  new Gauge({
    name: 'weir_userspace_connections',
    help: 'TCP connections open both ways (active), and half-closed ones and UDP sessions (inactive)',
    labelNames: [...labelNames, 'state'],
    registers,
    collect() {
      this.reset()
      for (const service of read().services) {
        this.set({ ...labels(service), state: 'active' }, service.active)
        this.set({ ...labels(service), state: 'inactive' }, service.inactive)
      }
    },
  })
  new Counter({
    name: 'weir_userspace_connections_total',
    help: 'Connections and UDP sessions: forwarded, turned away at a limit (limited), refused for want of an endpoint (refused)',
    labelNames: [...labelNames, 'result'],
    registers,
    collect() {
      this.reset()
      for (const service of read().services) {
        this.inc({ ...labels(service), result: 'forwarded' }, service.forwarded)
        this.inc({ ...labels(service), result: 'limited' }, service.limited)
        this.inc({ ...labels(service), result: 'refused' }, service.failed)
      }
    },
  })
  new Counter({
    name: 'weir_userspace_bytes_total',
    help: 'Bytes forwarded: in, from clients to endpoints; out, the other way',
    labelNames: [...labelNames, 'direction'],
    registers,
    collect() {
      this.reset()
      for (const service of read().services) {
        this.inc({ ...labels(service), direction: 'in' }, service.bytesIn)
        this.inc({ ...labels(service), direction: 'out' }, service.bytesOut)
      }
    },
  })
  new Gauge({
    name: 'weir_userspace_ejected_endpoints',
    help: 'Endpoints that get no connections because they did not accept the last ones',
    labelNames,
    registers,
    collect() {
      this.reset()
      for (const service of read().services) this.set(labels(service), service.ejected)
    },
  })
  const gauge = (name: string, help: string, value: (traffic: ProcessTraffic) => number): void => {
    new Gauge({
      name: `weir_userspace_${name}`,
      help,
      registers,
      collect() {
        this.set(value(read()))
      },
    })
  }
  const counter = (name: string, help: string, value: (traffic: ProcessTraffic) => number): void => {
    new Counter({
      name: `weir_userspace_${name}`,
      help,
      registers,
      collect() {
        this.reset()
        this.inc(value(read()))
      },
    })
  }
  gauge('udp_sessions', 'UDP sessions', ({ udpSessions }) => udpSessions)
  gauge('max_descriptors', 'Descriptors that sockets may use', ({ maxDescriptors }) => maxDescriptors)
  gauge(
    'accept_paused_threads',
    'Threads that do not accept for want of descriptors',
    (traffic) => traffic.pausedThreads,
  )
  counter('accept_pauses_total', 'Times that accepting paused for want of descriptors', ({ pauses }) => pauses)
  counter('ejections_total', 'Times that an endpoint was ejected', ({ ejections }) => ejections)
}

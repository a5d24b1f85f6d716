import { describe, expect, it } from 'vitest'
import { ForwardError } from '../../../src/backends/userspace/forward/forward-error.ts'
import type { EndpointStats, ForwarderStats, ServerStats } from '../../../src/backends/userspace/forward/forwarder.ts'
import type { Socket } from '../../../src/backends/userspace/forwarding.ts'
import { userspaceStatus } from '../../../src/backends/userspace/status.ts'
import { socketReports } from '../../../src/cli/socket-reports.ts'
import { statusText } from '../../../src/cli/status-text.ts'
import { processTraffic } from '../../../src/cli/traffic.ts'
import { defaultConnections } from '../../../src/model/connections.ts'
import type { Problem } from '../../../src/model/problem.ts'
import { ip, port } from '../../property/track-objects.ts'
import { addresses, stateOf } from '../../support/iptables-layouts.ts'

const { pod, cluster, balancer } = addresses('IPv4')
const web = stateOf('IPv4', 'ns/web:p80', {
  clusterIP: cluster(1),
  loadBalancerIPs: [balancer(1)],
  nodePort: port(30_001),
  externalPolicy: 'Local',
  connections: { ...defaultConnections, proxyProtocol: true, maxConnections: 9 },
})

const traffic = { active: 0, inactive: 0, total: 0, bytesIn: 0, bytesOut: 0, failed: 0 }
const endpoint = (n: number, over: Partial<EndpointStats> = {}): EndpointStats => ({
  ...traffic,
  ip: pod(n),
  port: 80,
  weight: 1,
  draining: false,
  ejectedMs: undefined,
  ...over,
})
const serverOf = (list: string, endpoints: readonly EndpointStats[], over: Partial<ServerStats> = {}): ServerStats => ({
  ...traffic,
  id: `${web.id} IPv4 ${list}`,
  protocol: 'TCP',
  limited: 0,
  endpoints,
  ...over,
})
const stats: ForwarderStats = {
  servers: [
    serverOf(
      'cluster',
      [
        endpoint(1, { active: 3, total: 20 }),
        endpoint(2, { ejectedMs: 8200, failed: 4 }),
        endpoint(3, { draining: true }),
      ],
      { active: 3, inactive: 1, total: 24, limited: 2, failed: 1, bytesIn: 10, bytesOut: 20 },
    ),
    serverOf('local', [], { total: 5, bytesIn: 1 }),
  ],
  listeners: [],
  connections: 4,
  udpSessions: 1,
  pausedThreads: 1,
  pauses: 6,
  maxDescriptors: 1000,
  threads: 2,
}
const socket = (
  state: { readonly port?: number; readonly error?: ForwardError },
  over: Partial<Socket['spec']> = {},
): Socket => ({
  service: web.id,
  spec: {
    id: 'x',
    protocol: 'TCP',
    address: ip('127.0.0.1'),
    port: 20_017,
    server: `${web.id} IPv4 cluster`,
    near: undefined,
    frontend: { ip: cluster(1), port: 80 },
    redirected: false,
    ...over,
  },
  state: { id: 'x', port: state.port, error: state.error },
})
const inUse = new ForwardError('address-in-use', 'listen on 0.0.0.0 port 30001 tcp', 'EADDRINUSE')
const nodePortSpec = { id: 'y', address: ip('0.0.0.0'), port: 30_001, frontend: undefined }
const served = {
  state: web,
  servers: [`${web.id} IPv4 cluster`, `${web.id} IPv4 local`],
  sockets: [socket({ port: 20_017 }), socket({ error: inUse }, nodePortSpec)],
}

describe('weir status', () => {
  const status = userspaceStatus('listen', [served], stats)

  it('survives JSON', () => {
    expect(JSON.parse(JSON.stringify(status))).toMatchObject({
      mode: 'userspace',
      reach: 'listen',
      process: { connections: 4, udpSessions: 1, pausedThreads: 1, threads: 2 },
      servicePorts: [
        {
          name: 'ns/web:p80',
          protocol: 'TCP',
          family: 'IPv4',
          maxConnections: 9,
          sockets: [
            { address: '127.0.0.1', port: 20_017 },
            { address: '0.0.0.0', error: inUse.message },
          ],
          lists: [
            { list: 'cluster', active: 3, endpoints: [{ ip: pod(1) }, {}, {}] },
            { list: 'local', total: 5 },
          ],
        },
      ],
    })
  })

  it('is a table for people', () => {
    expect(statusText(status)).toBe(`mode userspace: listening on NodePorts and loopback ports, without privilege
4 connections, of these 1 UDP session; 2 threads
out of descriptors: no connection is accepted until one is free

ns/web:p80/tcp  IPv4  172.30.0.1:80  203.0.113.1:80  NodePort 30001  random  at most 9 connections  PROXY protocol
  listens on 127.0.0.1:20017
  not listening on 0.0.0.0: listen on 0.0.0.0 port 30001 tcp: EADDRINUSE
  endpoints          weight    active  inactive     total    failed  2 turned away at the limit; 1 reached no endpoint
    10.180.0.1:80         1         3         0        20         0
    10.180.0.2:80         1         0         0         0         4  ejected, tried again in 9 s
    10.180.0.3:80         1         0         0         0         0  draining
  endpoints on this node: none
`)
  })

  it('says so when there is nothing', () => {
    expect(statusText(userspaceStatus('redirect', [], { ...stats, servers: [], pausedThreads: 0 }))).toContain(
      '\nno Services\n',
    )
  })

  it('is ordered by name, protocol and family', () => {
    const named = (name: string) => ({ ...served, state: stateOf('IPv4', name) })
    const { servicePorts } = userspaceStatus('listen', [named('ns/b:p'), named('ns/a:q'), named('ns/a:p')], stats)
    expect(servicePorts.map(({ name }) => name)).toEqual(['ns/a:p', 'ns/a:q', 'ns/b:p'])
  })
})

describe('metrics', () => {
  it('are by service port, the virtual servers of both lists together', () => {
    expect(processTraffic([served], stats, 3)).toEqual({
      services: [
        {
          servicePort: 'ns/web:p80',
          family: 'IPv4',
          protocol: 'TCP',
          active: 3,
          inactive: 1,
          forwarded: 29,
          limited: 2,
          failed: 1,
          bytesIn: 11,
          bytesOut: 20,
          ejected: 1,
        },
      ],
      udpSessions: 1,
      pausedThreads: 1,
      pauses: 6,
      ejections: 3,
      maxDescriptors: 1000,
    })
  })
})

describe('the log', () => {
  const watch = (reach: 'listen' | 'redirect') => {
    const problems: Problem[] = []
    const lines: object[] = []
    const info = (fields: object): void => void lines.push(fields)
    const report = socketReports(reach, (problem) => problems.push(problem), { info } as never)
    return { problems, lines, report }
  }

  it('names each address once', () => {
    const { lines, report, problems } = watch('listen')
    report(web, socket({ port: 20_017 }))
    report(web, socket({ port: 20_017 }))
    report(web, socket({ port: 30_001 }, nodePortSpec))
    expect(lines).toEqual([
      { servicePort: 'ns/web:p80/tcp', for: '172.30.0.1:80', address: '127.0.0.1:20017' },
      { servicePort: 'ns/web:p80/tcp', for: 'NodePort 30001', address: '0.0.0.0:30001' },
    ])
    expect(problems).toEqual([])
  })

  it('says what cannot be had, of which Service, and when it can', () => {
    for (const reach of ['listen', 'redirect'] as const) {
      const { lines, report, problems } = watch(reach)
      report(web, socket({ error: inUse }, nodePortSpec))
      expect(problems).toEqual([
        {
          object: { kind: 'Service', namespace: 'ns', name: 'web' },
          field: 'spec.ports',
          reason: 'port p80 (TCP): listen on 0.0.0.0 port 30001 tcp: EADDRINUSE; tried again every few seconds',
        },
      ])
      report(web, socket({ port: 30_001 }, nodePortSpec))
      expect(lines).toHaveLength(1)
    }
  })

  it('leaves addresses out where clients need not know them', () => {
    const { lines, report } = watch('redirect')
    report(web, socket({ port: 40_000 }))
    expect(lines).toEqual([])
  })
})

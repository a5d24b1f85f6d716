import { describe, expect, it } from 'vitest'
import { cidr, ip, port } from '../../../test/property/track-objects.ts'
import { addresses, hostOf, stateOf, targetOf } from '../../../test/support/iptables-layouts.ts'
import { defaultConnections } from '../../model/connections.ts'
import type { ServiceState } from '../../model/desired.ts'
import type { HostState } from '../../model/host.ts'
import type { ServicePortId } from '../../model/names.ts'
import type { ServiceChange } from '../backend.ts'
import { LoopbackPorts } from './listen/loopback-ports.ts'
import { type Belief, listening, planChange, redirecting, type UserspacePlan } from './plan.ts'
import type { ServiceLayout } from './service-layout.ts'

const { cluster, pod, external, balancer } = addresses('IPv4')
const nodeIP = ip('192.0.2.10')
const host = hostOf('IPv4', { addresses: [nodeIP, ip('127.0.0.1')] })
const both = {
  cluster: [targetOf(pod(1)), targetOf(pod(2), { local: true })],
  local: [targetOf(pod(2), { local: true })],
}

const redirect = redirecting(() => 0)
const range = { first: 20_000, last: 29_999 }

const full = (states: readonly ServiceState[], at: HostState = host, layOut = redirect): UserspacePlan =>
  planChange({ kind: 'full', host: at, services: states, rewrite: false }, undefined, layOut)
const layoutOf = (state: ServiceState, at?: HostState, layOut = redirect): ServiceLayout => {
  const layout = full([state], at, layOut).services.get(state.id)
  if (layout === undefined) throw new Error('no layout')
  return layout
}
const beliefOf = ({ host: at, services }: UserspacePlan): Belief => ({
  host: at,
  services: new Map([...services].flatMap(([id, layout]) => (layout === undefined ? [] : [[id, layout] as const]))),
})
const delta = (
  belief: Belief | undefined,
  after: readonly ServiceState[],
  gone: readonly ServiceState[] = [],
  at = host,
) => {
  const services = new Map<ServicePortId, ServiceChange>()
  for (const state of gone) services.set(state.id, { before: state, after: undefined })
  for (const state of after) services.set(state.id, { before: belief?.services.get(state.id)?.state, after: state })
  return planChange({ kind: 'delta', host: at, services }, belief, redirect)
}
const elements = (layout: ServiceLayout) =>
  layout.elements.map(({ set, key, value }) => {
    const to = value === undefined ? '' : ` : ${value.kind === 'listener' ? value.id : value.kind}`
    return `${set} ${key}${to}`
  })

describe('virtual servers', () => {
  it('are one for each list that an address leads to', () => {
    const ids = (over: Partial<ServiceState>) =>
      layoutOf(stateOf('IPv4', 'ns/web:p', { ...both, ...over })).servers.map(({ id }) => id)
    const external1 = { externalIPs: [external(1)] }
    expect(ids({})).toEqual(['ns/web:p/tcp IPv4 cluster'])
    expect(ids({ internalPolicy: 'Local' })).toEqual(['ns/web:p/tcp IPv4 local'])
    expect(ids({ ...external1, externalPolicy: 'Local' })).toEqual([
      'ns/web:p/tcp IPv4 cluster',
      'ns/web:p/tcp IPv4 local',
    ])
    expect(ids({ ...external1, internalPolicy: 'Local' })).toEqual([
      'ns/web:p/tcp IPv4 cluster',
      'ns/web:p/tcp IPv4 local',
    ])
    expect(ids({ protocol: 'SCTP' })).toEqual([])
  })

  it('carry what a Service asks for; PROXY protocol is for TCP', () => {
    const connections = { ...defaultConnections, proxyProtocol: true, maxConnections: 7 }
    const [tcp] = layoutOf(stateOf('IPv4', 'ns/web:p', { ...both, connections, affinitySeconds: 30 })).servers
    expect(tcp).toMatchObject({ proxyProtocol: true, maxConnections: 7, affinitySeconds: 30, targets: both.cluster })
    const [udp] = layoutOf(stateOf('IPv4', 'ns/web:p', { ...both, connections, protocol: 'UDP' })).servers
    expect(udp).toMatchObject({ proxyProtocol: false, maxConnections: 7 })
  })
})

describe('the elements of a service port', () => {
  const everywhere = {
    ...both,
    clusterIP: cluster(1),
    externalIPs: [external(1)],
    loadBalancerIPs: [balancer(1)],
    nodePort: port(30_001),
  }
  const id = 'ns/web:p/tcp IPv4'

  it('lead every address to its socket', () => {
    expect(elements(layoutOf(stateOf('IPv4', 'ns/web:p', everywhere)))).toEqual([
      `services ${cluster(1)} . tcp . 80 : ${id} cluster`,
      `services ${balancer(1)} . tcp . 80 : ${id} cluster`,
      `services ${external(1)} . tcp . 80 : ${id} cluster`,
      `nodeports tcp . 30001 : ${id} cluster`,
    ])
  })

  it('tell outside from inside under externalTrafficPolicy Local', () => {
    const state = stateOf('IPv4', 'ns/web:p', {
      ...everywhere,
      externalIPs: [],
      loadBalancerIPs: [],
      externalPolicy: 'Local',
    })
    expect(elements(layoutOf(state))).toEqual([
      `services ${cluster(1)} . tcp . 80 : ${id} cluster`,
      `nodeports tcp . 30001 : ${id} cluster`,
      `outside-nodeports tcp . 30001 : ${id} local`,
    ])
    expect(elements(layoutOf({ ...state, local: [] }))).toEqual([
      `services ${cluster(1)} . tcp . 80 : ${id} cluster`,
      `nodeports tcp . 30001 : ${id} cluster`,
      'outside-refused-nodeports tcp . 30001 : drop',
    ])
  })

  it('drop what finds nobody here, and refuse what finds nobody', () => {
    const one = { clusterIP: cluster(1), internalPolicy: 'Local' } as const
    expect(elements(layoutOf(stateOf('IPv4', 'ns/web:p', { ...one, ...both, local: [] })))).toEqual([
      `refused-services ${cluster(1)} . tcp . 80 : drop`,
    ])
    expect(elements(layoutOf(stateOf('IPv4', 'ns/web:p', one)))).toEqual([
      `refused-services ${cluster(1)} . tcp . 80 : refuse`,
    ])
  })

  it('guard load balancer IPs, with or without endpoints', () => {
    const sourceRanges = [cidr('198.51.0.0/16'), cidr('198.51.100.0/24'), cidr('203.0.113.9/32')]
    const guarded = { clusterIP: undefined, loadBalancerIPs: [balancer(1)], sourceRanges }
    const found = (over: Partial<ServiceState>) =>
      elements(layoutOf(stateOf('IPv4', 'ns/web:p', { ...guarded, ...over })))
    const key = `${balancer(1)} . tcp . 80`
    expect(found({})).toEqual([
      `refused-services ${key} : refuse`,
      `guarded-services ${key}`,
      `allowed-sources ${key} . 198.51.0.0/16`,
      `allowed-sources ${key} . 203.0.113.9`,
    ])
    expect(found({ nodeInSourceRanges: true })).toContain(`allowed-sources ${key} . ${balancer(1)}`)
  })

  it('keep the connections of this process from coming back to it', () => {
    const state = stateOf('IPv4', 'ns/web:p', {
      clusterIP: cluster(1),
      externalIPs: [nodeIP],
      cluster: [targetOf(nodeIP), targetOf(pod(1)), targetOf(cluster(1))],
    })
    expect(elements(layoutOf(state)).filter((text) => text.startsWith('own'))).toEqual([
      `own-endpoints ${nodeIP} . tcp . 80`,
      `own-endpoints ${cluster(1)} . tcp . 80`,
    ])
  })
})

describe('sockets', () => {
  it('of redirected traffic have a real address, the node IP first', () => {
    const { listeners } = layoutOf(stateOf('IPv4', 'ns/web:p', both))
    expect(listeners).toEqual([
      {
        spec: {
          id: 'ns/web:p/tcp IPv4 cluster',
          protocol: 'TCP',
          address: nodeIP,
          port: 0,
          server: 'ns/web:p/tcp IPv4 cluster',
          near: undefined,
          frontend: { ip: cluster(41), port: 80 },
          redirected: true,
        },
        otherPort: 'any',
      },
    ])
    const at = (family: 'IPv4' | 'IPv6', ...texts: readonly string[]) =>
      layoutOf(stateOf(family, 'ns/web:p', {}), hostOf(family, { addresses: texts.map(ip) })).listeners[0]?.spec.address
    expect(at('IPv4', '127.0.0.1', '192.0.2.11')).toBe('192.0.2.11')
    expect(at('IPv4')).toBe('127.0.0.1')
    expect(at('IPv6', 'fe80::1', '::1', '2001:db8::1')).toBe('2001:db8::1')
  })

  describe('where nothing is redirected', () => {
    const own = (over: Partial<ServiceState>, at: HostState = host) =>
      layoutOf(
        stateOf('IPv4', 'ns/web:p', { ...both, ...over }),
        at,
        listening(new LoopbackPorts(range), () => []),
      ).listeners.map(({ spec: { address, port: number, server, near }, otherPort }) => ({
        at: `${address}:${number}`,
        server: server.split(' ')[2],
        near: near?.server.split(' ')[2],
        otherPort,
      }))
    const loopback = {
      at: expect.stringMatching(/^127\.0\.0\.1:2\d{4}$/),
      server: 'cluster',
      near: undefined,
      otherPort: 'next',
    }

    it('are a loopback port and the NodePort', () => {
      expect(own({ nodePort: port(30_001) })).toEqual([
        loopback,
        { at: '0.0.0.0:30001', server: 'cluster', near: undefined, otherPort: 'none' },
      ])
    })

    it('tell clients on the node by their addresses under externalTrafficPolicy Local', () => {
      expect(own({ nodePort: port(30_001), externalPolicy: 'Local' })).toEqual([
        loopback,
        { at: '0.0.0.0:30001', server: 'local', near: 'cluster', otherPort: 'none' },
      ])
    })

    it('are one per address over UDP, and where NodePorts have addresses', () => {
      const at = (over: Partial<ServiceState>, where?: HostState) => own(over, where).map((socket) => socket.at)
      const udp = { protocol: 'UDP', nodePort: port(30_001), clusterIP: undefined } as const
      expect(at(udp)).toEqual(['192.0.2.10:30001', '127.0.0.1:30001'])
      const some = hostOf('IPv4', { nodePortAddresses: { kind: 'some', addresses: [nodeIP] } })
      expect(at({ nodePort: port(30_001), clusterIP: undefined }, some)).toEqual(['192.0.2.10:30001'])
    })

    it('are none without endpoints', () => {
      expect(own({ cluster: [], local: [], hasEndpoints: false, nodePort: port(30_001) })).toEqual([])
    })
  })
})

describe('a delta', () => {
  const web = stateOf('IPv4', 'ns/web:p', { ...both, clusterIP: cluster(1) })
  const api = stateOf('IPv4', 'ns/api:p', { ...both, clusterIP: cluster(2) })
  const belief = beliefOf(full([web, api]))

  it('needs something to start from', () => {
    expect(() => delta(undefined, [web])).toThrow(RangeError)
  })

  it('is empty where nothing changes', () => {
    const plan = delta(belief, [web, api])
    expect(plan.summary).toEqual({ empty: true, added: 0, removed: 0, structure: false })
    expect(plan.services.size).toBe(0)
  })

  it('lays out what changed, and counts endpoints and elements', () => {
    const more = { ...web, cluster: [...web.cluster, targetOf(pod(3))] }
    const plan = delta(belief, [more], [api])
    expect(plan.replace).toBe(false)
    expect([...plan.services.keys()]).toEqual([api.id, web.id])
    expect(plan.services.get(api.id)).toBeUndefined()
    expect(plan.summary).toEqual({ empty: false, added: 1, removed: 4, structure: false })
  })

  it('with another host lays everything out anew', () => {
    const moved = { ...host, addresses: [ip('192.0.2.77')] }
    const plan = delta(belief, [web], [api], moved)
    expect(plan.replace).toBe(true)
    expect([...plan.services.keys()]).toEqual([web.id])
    expect(plan.services.get(web.id)?.listeners[0]?.spec.address).toBe('192.0.2.77')
    expect(plan.summary.structure).toBe(true)
  })

  it('is the same every time', () => {
    expect(delta(belief, [{ ...web, cluster: [] }])).toEqual(delta(belief, [{ ...web, cluster: [] }]))
  })
})

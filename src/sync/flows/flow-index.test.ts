import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  endpoint,
  endpointPort,
  ip,
  key,
  port,
  service,
  servicePort,
  slice,
} from '../../../test/property/track-objects.ts'
import { anyChange, computed } from '../../../test/property/track-world.ts'
import { flow, flowFrom } from '../../../test/support/flows.ts'
import type { FlowTargets } from '../../backends/backend.ts'
import { desiredStates } from '../../desired/service-states.ts'
import type { ServiceState } from '../../model/desired.ts'
import type { Endpoint, EndpointSlice } from '../../model/endpoint-slice.ts'
import { type Flow, flowEnd, sameEnd } from '../../model/flow.ts'
import type { HostState } from '../../model/host.ts'
import { type Family, families, type IP } from '../../model/ip.ts'
import type { ServiceKey } from '../../model/names.ts'
import type { Protocol } from '../../model/protocol.ts'
import { schedulers } from '../../model/scheduling.ts'
import type { Service } from '../../model/service.ts'
import { Tracker } from '../../track/tracker.ts'
import { FlowIndex } from './flow-index.ts'
import { vanishedAfterMs } from './stale-connections.ts'

const capabilities = {
  schedulers: new Set(schedulers),
  affinity: true,
  sourceRanges: true,
  sctp: true,
  localhostNodePorts: false,
} as const

const host = (family: Family, addresses: readonly string[], over: Partial<HostState> = {}): HostState => ({
  family,
  detector: { kind: 'none' },
  masqueradeAll: false,
  masqueradeMark: 0x4000,
  nodePortAddresses: { kind: 'all' },
  serviceCidrs: [],
  addresses: addresses.map(ip),
  ...over,
})

const states = (of: Service, slices: readonly EndpointSlice[], family: Family = 'IPv4'): readonly ServiceState[] =>
  desiredStates(of, slices, {
    family,
    nodeName: 'here',
    zone: undefined,
    nodeIP: undefined,
    owns: () => true,
    supportedSchedulers: capabilities.schedulers,
  })

/** An index of IPv4, and Services by name. */
class Rig {
  readonly index: FlowIndex
  now = 10_000

  constructor(
    over: Partial<{
      flowTargets: () => FlowTargets | undefined
      endConnections: () => void
      sctp: boolean
      loopbackNodePorts: boolean
    }> = {},
    hostState: HostState = host('IPv4', ['192.0.2.10', '127.0.0.1']),
  ) {
    const { sctp = true, loopbackNodePorts = false, ...functions } = over
    const backend = { capabilities: { ...capabilities, sctp }, ...functions }
    this.index = new FlowIndex({ backend, loopbackNodePorts })
    this.index.setHost(hostState)
  }

  put(of: Service, ...endpoints: readonly Endpoint[]): ReadonlySet<Protocol> {
    const ports = of.ports.map(({ name, protocol }) => endpointPort({ name, protocol, port: port(5353) }))
    const slices = [slice(`${of.key}-1`, endpoints, { ports })]
    return this.index.update(of.key, states(of, slices), slices, this.now)
  }

  drop(name: string): ReadonlySet<Protocol> {
    return this.index.update(key(name), [], [], this.now)
  }

  /** Which of these are stale, as they were written. */
  stale(...flows: readonly (readonly [string, string?, Parameters<typeof flow>[2]?])[]): readonly string[] {
    return flows
      .filter((args) => this.index.isStale(flow(...args)))
      .map(([destination, target = destination]) => `${destination} ${target}`)
  }

  pass(protocol: Protocol): void {
    this.index.begin(protocol, this.now).end()
  }
}

const vip = '203.0.113.101'
const external = '203.0.113.1'
const dnsPort = servicePort({ protocol: 'UDP', port: port(53), nodePort: port(30_053) })
const dns = (over: Partial<Service> = {}): Service =>
  service('ns/dns', { loadBalancerIPs: [ip(vip)], externalIPs: [ip(external)], ports: [dnsPort], ...over })
const [pod1, pod2] = ['10.0.0.1:5353', '10.0.0.2:5353']
const fronts = ['10.96.0.1:53', `${vip}:53`, `${external}:53`, '192.0.2.10:30053']

describe('a flow to an address of a Service', () => {
  it('is stale unless it leads to an endpoint that serves', () => {
    const rig = new Rig()
    rig.put(dns(), endpoint('10.0.0.1'))
    for (const front of fronts) {
      expect(rig.stale([front, pod1], [front, pod2], [front, '10.0.0.1:53'], [front])).toEqual([
        `${front} ${pod2}`,
        `${front} 10.0.0.1:53`,
        `${front} ${front}`,
      ])
    }
  })

  it.each([
    ['ready', {}, true],
    ['not ready, serving', { ready: false }, true],
    ['terminating, serving', { ready: false, terminating: true }, true],
    ['ready, not serving: published all the same', { serving: false }, true],
    ['terminating, not serving', { ready: false, serving: false, terminating: true }, false],
    ['not ready, not serving', { ready: false, serving: false }, false],
  ] as const)('with an endpoint that is %s', (_, conditions, live) => {
    const rig = new Rig()
    rig.put(dns(), endpoint('10.0.0.1', conditions), endpoint('10.0.0.2'))
    expect(rig.stale([fronts[0] ?? '', pod1])).toHaveLength(live ? 0 : 1)
  })

  it('stays whatever policies, topology, source ranges and weights say of new ones', () => {
    const rig = new Rig()
    const weights = new Map([['10.0.0.1', 0]])
    const strict = dns({
      internalPolicy: 'Local',
      externalPolicy: 'Local',
      sourceRanges: [],
      scheduling: { scheduler: 'random', flags: [], weights },
    })
    rig.put(
      strict,
      endpoint('10.0.0.1', { nodeName: 'there', zoneHints: ['far'] }),
      endpoint('10.0.0.2', { nodeName: 'here', zoneHints: ['near'] }),
    )
    expect(rig.stale([fronts[0] ?? '', pod1], [fronts[3] ?? '', pod1], [fronts[1] ?? '', pod2])).toEqual([])
  })

  it('is stale when there are no endpoints at all', () => {
    const rig = new Rig()
    rig.put(dns())
    expect(rig.index.concerns('UDP')).toBe(true)
    for (const front of fronts) expect(rig.stale([front, pod1], [front])).toHaveLength(2)
  })

  it('of another port, protocol or family is not looked at', () => {
    const rig = new Rig()
    rig.put(dns(), endpoint('10.0.0.1'))
    expect(
      rig.stale(
        ['10.96.0.1:54', pod2],
        ['10.96.0.2:53', pod2],
        ['10.96.0.1:53', pod2, { protocol: 'TCP' }],
        ['10.96.0.1:53', pod2, { protocol: 'SCTP' }],
        ['8.8.8.8:53'],
        ['8.8.8.8:53', '9.9.9.9:53'],
      ),
    ).toEqual([])
  })

  it('in a zone of its own is left alone while it is not translated', () => {
    const rig = new Rig()
    rig.put(dns(), endpoint('10.0.0.1'))
    expect(rig.stale(['10.96.0.1:53', '10.96.0.1:53', { zone: 3 }], ['10.96.0.1:53', pod2, { zone: 3 }])).toEqual([
      `10.96.0.1:53 ${pod2}`,
    ])
  })

  it('of SCTP is treated alike, where the backend serves SCTP', () => {
    const sctp = dns({ ports: [{ ...dnsPort, protocol: 'SCTP' }] })
    for (const served of [true, false]) {
      const rig = new Rig({ sctp: served })
      rig.put(sctp, endpoint('10.0.0.1'))
      expect(rig.index.concerns('SCTP')).toBe(served)
      expect(rig.stale(['10.96.0.1:53', pod2, { protocol: 'SCTP' }])).toHaveLength(served ? 1 : 0)
    }
  })

  it('may lead to a socket of the backend as well', () => {
    const rig = new Rig({
      flowTargets: () => ({ kind: 'sockets', sockets: [{ address: ip('192.0.2.10'), port: 40_000 }] }),
    })
    rig.put(dns(), endpoint('10.0.0.1'))
    expect(rig.stale([fronts[0] ?? '', '192.0.2.10:40000'], [fronts[0] ?? '', pod1])).toEqual([])
    expect(rig.stale([fronts[0] ?? '', '192.0.2.10:40001'], [fronts[0] ?? ''])).toHaveLength(2)
  })

  it('is none of ours where conntrack does not see where it goes', () => {
    let targets: FlowTargets | undefined
    const rig = new Rig({ flowTargets: () => targets })
    rig.put(dns(), endpoint('10.0.0.1'))
    targets = { kind: 'unknown' }
    rig.put(dns(), endpoint('10.0.0.1'))
    expect(rig.stale([fronts[0] ?? '', pod1], [fronts[0] ?? '', pod2], [fronts[0] ?? ''])).toEqual([])
    expect(rig.index.concerns('UDP')).toBe(false)
  })
})

describe('a flow that an answer from an address of a Service began', () => {
  const client = '198.51.100.7:4000'
  const isStale = (rig: Rig, ...args: Parameters<typeof flowFrom>): boolean => rig.index.isStale(flowFrom(...args))

  it('is stale', () => {
    const rig = new Rig()
    rig.put(dns(), endpoint('10.0.0.1'))
    for (const front of fronts) expect([front, isStale(rig, front, client)]).toEqual([front, true])
    expect(isStale(rig, '10.96.0.1:54', client)).toBe(false)
    expect(isStale(rig, '192.0.2.99:30053', client)).toBe(false)
    expect(isStale(rig, '10.96.0.1:53', client, { protocol: 'SCTP' })).toBe(false)
    rig.drop('ns/dns')
    for (const front of fronts) expect([front, isStale(rig, front, client)]).toEqual([front, false])
  })

  it('is not if it is translated, of another zone, or begun by an endpoint that has this address', () => {
    const rig = new Rig()
    rig.put(dns({ externalIPs: [ip('10.0.0.1')], ports: [{ ...dnsPort, port: port(5353) }] }), endpoint('10.0.0.1'))
    expect(isStale(rig, '10.96.0.1:5353', client, { zone: 3 })).toBe(false)
    expect(isStale(rig, pod1, client)).toBe(false)
    const translated = { ...flowFrom('10.96.0.1:5353', client), target: flow(pod2).target }
    expect(rig.index.isStale(translated)).toBe(false)
  })
})

describe('a NodePort', () => {
  it('is a port of the addresses that take it, not of others', () => {
    const rig = new Rig()
    rig.put(dns(), endpoint('10.0.0.1'))
    expect(rig.stale(['192.0.2.99:30053'], ['192.0.2.99:30053', pod2], ['127.0.0.1:30053'])).toEqual([])
    expect(rig.index.setHost(host('IPv4', ['192.0.2.10', '127.0.0.1', '192.0.2.99']))).toBe(true)
    expect(rig.index.setHost(host('IPv4', ['192.0.2.10', '127.0.0.1', '192.0.2.99']))).toBe(false)
    expect(rig.stale(['192.0.2.99:30053'])).toHaveLength(1)
    rig.index.setHost(
      host('IPv4', ['192.0.2.10', '192.0.2.99'], {
        nodePortAddresses: { kind: 'some', addresses: [ip('192.0.2.99')] },
      }),
    )
    expect(rig.stale(['192.0.2.10:30053'], ['192.0.2.99:30053'])).toEqual(['192.0.2.99:30053 192.0.2.99:30053'])
  })

  it('is one of loopback addresses where rules serve it there', () => {
    const rig = new Rig({ loopbackNodePorts: true })
    rig.put(dns(), endpoint('10.0.0.1'))
    expect(rig.stale(['127.0.0.1:30053', pod2])).toHaveLength(1)
  })

  it('gives way to a virtual server of the same address and port', () => {
    const rig = new Rig()
    rig.put(dns(), endpoint('10.0.0.1'))
    const other = service('ns/other', {
      clusterIPs: [ip('10.96.0.2')],
      externalIPs: [ip('192.0.2.10')],
      ports: [servicePort({ protocol: 'UDP', port: port(30_053) })],
    })
    rig.put(other, endpoint('10.0.0.2'))
    expect(rig.stale(['192.0.2.10:30053', pod1], ['192.0.2.10:30053', pod2])).toEqual([`192.0.2.10:30053 ${pod1}`])
  })
})

describe('an address that is nobody’s any more', () => {
  it('keeps flows only that do not lead to its former endpoints, until a pass was made', () => {
    const rig = new Rig()
    rig.put(dns(), endpoint('10.0.0.1'), endpoint('10.0.0.2'))
    expect(rig.drop('ns/dns')).toEqual(new Set(['UDP']))
    expect(rig.index.concerns('UDP')).toBe(true)
    for (const front of fronts)
      expect(rig.stale([front, pod1], [front, pod2], [front], [front, '10.0.0.3:5353'])).toEqual([
        `${front} ${pod1}`,
        `${front} ${pod2}`,
      ])
    rig.pass('UDP')
    expect(rig.index.concerns('UDP')).toBe(false)
    for (const front of fronts) expect(rig.stale([front, pod1])).toEqual([])
  })

  it('remembers endpoints that went before it did, if no pass was made in between', () => {
    for (const passed of [false, true]) {
      const rig = new Rig()
      rig.put(dns(), endpoint('10.0.0.1'))
      rig.put(dns())
      if (passed) rig.pass('UDP')
      rig.drop('ns/dns')
      expect(rig.stale([fronts[0] ?? '', pod1])).toHaveLength(passed ? 0 : 1)
    }
  })

  it('is remembered by a pass that had begun before', () => {
    const rig = new Rig()
    rig.put(dns(), endpoint('10.0.0.1'))
    const pass = rig.index.begin('UDP', rig.now)
    rig.drop('ns/dns')
    pass.end()
    expect(rig.stale([fronts[0] ?? '', pod1])).toHaveLength(1)
  })

  it('may have been one of many of a Service', () => {
    const rig = new Rig()
    rig.put(dns(), endpoint('10.0.0.1'))
    rig.put(dns({ loadBalancerIPs: [], ports: [{ ...dnsPort, nodePort: port(30_054) }] }), endpoint('10.0.0.1'))
    expect(rig.stale(...fronts.map((front) => [front, pod1] as const))).toEqual([
      `${vip}:53 ${pod1}`,
      `192.0.2.10:30053 ${pod1}`,
    ])
  })

  it('is judged by its new owner, whoever is heard of first', () => {
    for (const order of ['taken first', 'left first']) {
      const rig = new Rig()
      const other = service('ns/other', { ports: [servicePort({ protocol: 'UDP', port: port(53) })] })
      rig.put(dns(), endpoint('10.0.0.1'))
      if (order === 'left first') rig.drop('ns/dns')
      rig.put(other, endpoint('10.0.0.2'))
      if (order === 'taken first') rig.drop('ns/dns')
      expect(rig.stale(['10.96.0.1:53', pod1], ['10.96.0.1:53', pod2], ['10.96.0.1:53'])).toEqual([
        `10.96.0.1:53 ${pod1}`,
        '10.96.0.1:53 10.96.0.1:53',
      ])
    }
  })
})

describe('connections, where weir.dev/reset-stale-tcp asks for it', () => {
  const web = (resetStaleTcp = true): Service => {
    const plain = service('ns/web', { ports: [servicePort({ port: port(80), nodePort: port(30_080) })] })
    return { ...plain, connections: { ...plain.connections, resetStaleTcp } }
  }
  const tcp = { protocol: 'TCP' } as const
  const staleTo = (rig: Rig, target: string): boolean => {
    rig.index.begin('TCP', rig.now)
    const found = rig.stale(['10.96.0.1:80', target, tcp], ['192.0.2.10:30080', target, tcp])
    expect([0, 2]).toContain(found.length)
    return found.length === 2
  }

  it('are stale a while after their endpoint vanished', () => {
    const rig = new Rig()
    rig.put(web(), endpoint('10.0.0.1'), endpoint('10.0.0.2'))
    rig.put(web(), endpoint('10.0.0.2'))
    expect(rig.index.connectionsDue()).toBe(rig.now + vanishedAfterMs)
    expect(staleTo(rig, pod1)).toBe(false)
    rig.now += vanishedAfterMs
    expect(staleTo(rig, pod1)).toBe(true)
    expect(staleTo(rig, pod2)).toBe(false)
    expect(
      rig.stale(['10.96.0.1:80', '10.96.0.1:80', tcp], ['10.96.0.2:80', pod1, tcp], ['10.96.0.1:80', pod1]),
    ).toEqual([])
    rig.pass('TCP')
    expect(rig.index.connectionsDue()).toBeUndefined()
    expect(staleTo(rig, pod1)).toBe(false)
  })

  it.each([
    ['was seen terminating', [[{ ready: false, terminating: true }], []]],
    ['was seen terminating once', [[{ ready: false, terminating: true }], [{}], []]],
    ['is there, though it does not serve', [[{ ready: false, serving: false }]]],
    ['is back', [[], [{}]]],
  ] as const)('stay when the endpoint %s', (_, history) => {
    const rig = new Rig()
    rig.put(web(), endpoint('10.0.0.1'))
    for (const conditions of history) rig.put(web(), ...conditions.map((each) => endpoint('10.0.0.1', each)))
    rig.now += vanishedAfterMs
    expect(staleTo(rig, pod1)).toBe(false)
    expect(rig.index.connectionsDue()).toBeUndefined()
  })

  it('stay when the Service goes, or nobody asks for it', () => {
    const rig = new Rig()
    rig.put(web(), endpoint('10.0.0.1'))
    rig.drop('ns/web')
    rig.put(web(false), endpoint('10.0.0.1'))
    rig.put(web(false))
    rig.now += vanishedAfterMs
    expect(staleTo(rig, pod1)).toBe(false)
    rig.put(web(), endpoint('10.0.0.1'))
    rig.put(web())
    rig.put(web(false))
    rig.now += vanishedAfterMs
    expect(staleTo(rig, pod1)).toBe(false)
  })

  it('name their endpoints to whoever keeps connections of its own, seen by conntrack or not', () => {
    const endConnections = (): void => {}
    for (const unseen of [false, true]) {
      const flowTargets = (): FlowTargets | undefined => (unseen ? { kind: 'unknown' } : undefined)
      const rig = new Rig({ flowTargets, endConnections })
      rig.put(web(), endpoint('10.0.0.1'), endpoint('10.0.0.2'))
      rig.put(web(), endpoint('10.0.0.2'))
      expect(rig.index.begin('TCP', rig.now).vanished).toEqual([])
      rig.now += vanishedAfterMs
      const pass = rig.index.begin('TCP', rig.now)
      expect(pass.vanished).toEqual([['ns/web/tcp', [flow(pod1).target]]])
      pass.end()
      expect(rig.index.begin('TCP', rig.now).vanished).toEqual([])
    }
    const blind = new Rig({ flowTargets: () => ({ kind: 'unknown' }) })
    blind.put(web(), endpoint('10.0.0.1'))
    blind.put(web())
    expect(blind.index.connectionsDue()).toBeUndefined()
  })

  it('are for a process to end that forwards them', () => {
    const rig = new Rig({ flowTargets: () => ({ kind: 'sockets', sockets: [] }) })
    rig.put(web(), endpoint('10.0.0.1'))
    rig.put(web())
    expect(rig.index.connectionsDue()).toBeUndefined()
  })
})

describe('any sequence of changes', () => {
  /** What S8.5 says, looked up in the objects for every flow anew. */
  const naive = (
    tracker: Tracker,
    family: Family,
    addresses: readonly IP[],
    { destination, target }: Flow,
  ): boolean => {
    let nodePort: boolean | undefined
    for (const { key: name } of tracker.services()) {
      const slices = tracker.slicesOf(name)
      for (const state of computed(tracker, name) as readonly (ServiceState | undefined)[]) {
        if (state === undefined || !('cluster' in state) || state.family !== family || state.protocol !== 'UDP')
          continue
        const live = slices
          .filter((each) => each.family === family)
          .flatMap((each) =>
            each.ports
              .filter(({ name: offered, protocol }) => state.name.endsWith(`:${offered}`) && protocol === 'UDP')
              .flatMap(({ port: number }) =>
                each.endpoints.filter(({ ready, serving }) => ready || serving).map((one) => flowEnd(one.ip, number)),
              ),
          )
          .some((each) => sameEnd(each, target))
        const ips = [...state.externalIPs, ...state.loadBalancerIPs, ...(state.clusterIP ? [state.clusterIP] : [])]
        if (ips.some((each) => sameEnd(flowEnd(each, state.port), destination))) return !live
        if (state.nodePort !== undefined)
          for (const each of addresses) if (sameEnd(flowEnd(each, state.nodePort), destination)) nodePort = !live
      }
    }
    return nodePort ?? false
  }

  const destinations = {
    IPv4: ['10.96.0.1', '10.96.0.2', '203.0.113.1', '192.0.2.10'],
    IPv6: ['fd00::1', 'fd00::2', '2001:db8::1', '2001:db8::10'],
  } as const
  const targets = {
    IPv4: ['10.0.0.1', '10.0.0.2', '10.0.0.10', '10.96.0.1'],
    IPv6: ['fd01::1', 'fd01::2', 'fd01::a', 'fd00::1'],
  } as const

  it('comes to what the objects say', () => {
    let found = 0
    let kept = 0
    fc.assert(
      fc.property(fc.array(fc.array(anyChange, { minLength: 1, maxLength: 4 }), { maxLength: 12 }), (batches) => {
        const tracker = new Tracker({ startedAt: 0 })
        const indexes = families.map((family) => {
          const index = new FlowIndex({ backend: { capabilities }, loopbackNodePorts: false })
          index.setHost(host(family, [destinations[family][3]]))
          return { family, index }
        })
        for (const batch of batches) {
          tracker.apply(batch)
          const dirty = tracker.take()
          if (dirty !== undefined) tracker.commit()
          const everything = dirty?.allServices === true
          for (const { family, index } of indexes) {
            const all = new Set<ServiceKey>(index.keys())
            for (const each of tracker.services()) all.add(each.key)
            for (const name of everything ? all : (dirty?.services ?? [])) {
              const after = (computed(tracker, name) as readonly (ServiceState | undefined)[]).filter(
                (state): state is ServiceState => state !== undefined && 'cluster' in state && state.family === family,
              )
              index.update(name, after, tracker.slicesOf(name), 0)
            }
            // What is remembered of the past has a test of its own.
            index.begin('UDP', 0).end()
          }
        }
        for (const { family, index } of indexes)
          for (const [i, address] of destinations[family].entries())
            for (const number of i === 3 ? [30_000, 30_001, 80] : [80, 81, 30_000])
              for (const target of targets[family])
                for (const targetPort of [8_080, 9_090, 80]) {
                  const text = (ipText: string, of: number) =>
                    family === 'IPv4' ? `${ipText}:${of}` : `[${ipText}]:${of}`
                  const one = flow(text(address, number), text(target, targetPort))
                  const expected = naive(tracker, family, [ip(destinations[family][3])], one)
                  if (index.isStale(one) !== expected)
                    throw new Error(`${text(address, number)} ${text(target, targetPort)}: ${!expected}`)
                  if (expected) found++
                  else kept++
                }
      }),
      { seed: 20_251_120, numRuns: 50 },
    )
    expect(found).toBeGreaterThan(1_000)
    expect(kept).toBeGreaterThan(1_000)
  })
})

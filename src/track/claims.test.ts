import { describe, expect, it } from 'vitest'
import { ip, key, port, service, servicePort } from '../../test/property/track-objects.ts'
import type { ModelChange } from '../model/change.ts'
import type { Claim } from '../model/claim.ts'
import type { Problem } from '../model/problem.ts'
import type { Service, ServicePort } from '../model/service.ts'
import { Tracker } from './tracker.ts'

const put = (value: Service): ModelChange => ({ kind: 'service', key: value.key, value })
const drop = (value: Service): ModelChange => ({ kind: 'service', key: value.key, value: undefined })
const vip = ip('203.0.113.1')

let next = 0
/** A Service with a ClusterIP of its own. */
const named = (name: string, over: Partial<Service>): Service =>
  service(name, { clusterIPs: [ip(`10.97.0.${++next}`)], ...over })

const portOf = (of: Service): ServicePort => of.ports[0] ?? servicePort()
const claim = (of: Service, kind: 'clusterIP' | 'loadBalancerIP' | 'externalIP', address = vip): Claim => ({
  kind,
  service: of.key,
  port: portOf(of),
  ip: address,
})
const nodePort = (of: Service): Claim => ({ kind: 'nodePort', service: of.key, port: portOf(of) })
const health = (of: Service): Claim => ({
  kind: 'healthCheckNodePort',
  service: of.key,
  number: of.healthCheckNodePort ?? port(1),
})
const shown = (problems: readonly Problem[]) =>
  problems.map(({ object, field, reason }) => `${object.namespace}/${object.name} ${field}: ${reason}`)

/** Every order in which the Services can arrive, each with its own tracker. */
const orders = <T>(items: readonly T[]): readonly (readonly T[])[] =>
  items.length < 2
    ? [items]
    : items.flatMap((item, i) => orders(items.filter((_, j) => j !== i)).map((rest) => [item, ...rest]))

describe('S9 claims', () => {
  const cluster = service('z/cluster', { clusterIPs: [vip], created: 9_000 })
  const balancer = named('y/balancer', { loadBalancerIPs: [vip], created: 8_000 })
  const old = named('x/old', { externalIPs: [vip], created: 10 })
  const young = named('a/young', { externalIPs: [vip], created: 20 })
  const twin = named('b/twin', { externalIPs: [vip], created: 20 })
  const unknown = named('a/unknown', { externalIPs: [vip], created: 0 })
  const order: readonly [Service, Claim][] = [
    [cluster, claim(cluster, 'clusterIP')],
    [balancer, claim(balancer, 'loadBalancerIP')],
    [old, claim(old, 'externalIP')],
    [young, claim(young, 'externalIP')],
    [twin, claim(twin, 'externalIP')],
    [unknown, claim(unknown, 'externalIP')],
  ]

  it('S9.2 kind, then age with unknown last, then name decide, whatever the order of events', () => {
    for (const arrival of orders([0, 1, 2, 3, 4, 5])) {
      const tracker = new Tracker({ startedAt: 0 })
      for (const i of arrival) {
        const found = order[i]
        if (found !== undefined) tracker.apply([put(found[0])])
      }
      expect(order.map(([, asked]) => tracker.owns(asked))).toEqual([true, false, false, false, false, false])
    }
  })

  it('S9.3 hands over at once when the owner goes, and marks both dirty', () => {
    const tracker = new Tracker({ startedAt: 0 })
    tracker.apply(order.map(([each]) => put(each)))
    tracker.take()
    tracker.commit()
    for (const [i, [owner, owned]] of order.entries()) {
      expect(tracker.owns(owned)).toBe(true)
      expect(tracker.apply([drop(owner)])).toEqual([])
      const heir = order[i + 1]?.[0].key
      expect([...(tracker.take()?.services ?? [])].sort()).toEqual([owner.key, ...(heir ? [heir] : [])].sort())
      tracker.commit()
    }
  })

  it('S9.3 marks the displaced owner dirty, and nobody who had lost before', () => {
    const tracker = new Tracker({ startedAt: 0 })
    tracker.apply([put(old), put(young), put(twin)])
    tracker.take()
    tracker.commit()
    tracker.apply([put(cluster)])
    expect([...(tracker.take()?.services ?? [])].sort()).toEqual(['x/old', 'z/cluster'])
  })

  it('S9.4 reports each loser once: field, loser and owner', () => {
    const tracker = new Tracker({ startedAt: 0 })
    expect(tracker.apply([put(young)])).toEqual([])
    expect(shown(tracker.apply([put(old)]))).toEqual([
      'a/young spec.externalIPs: 203.0.113.1 TCP 80 belongs to Service x/old (spec.externalIPs) and is not served for this Service',
    ])
    expect(tracker.apply([put(old), put(service('a/young', { ...young, affinitySeconds: 5 }))])).toEqual([])
    expect(shown(tracker.apply([put(cluster)]))).toEqual([
      'x/old spec.externalIPs: 203.0.113.1 TCP 80 belongs to Service z/cluster (spec.clusterIPs) and is not served for this Service',
    ])
    tracker.apply([drop(cluster), drop(old)])
    expect(tracker.owns(claim(young, 'externalIP'))).toBe(true)
    expect(tracker.apply([put(old)]), 'a new conflict').toHaveLength(1)
  })

  it('S9.4 does not report what is settled within one batch', () => {
    const tracker = new Tracker({ startedAt: 0 })
    tracker.apply([put(old)])
    const moved = named('x/old', { created: 10 })
    expect(tracker.apply([put(young), put(moved)])).toEqual([])
    expect(tracker.owns(claim(young, 'externalIP'))).toBe(true)
  })

  it('S9.1 one service port may ask twice: no conflict, and it keeps the address while one reason lasts', () => {
    const both = named('n/both', { externalIPs: [vip, vip], loadBalancerIPs: [vip], created: 5 })
    const tracker = new Tracker({ startedAt: 0 })
    expect(tracker.apply([put(both)])).toEqual([])
    expect(tracker.owns(claim(both, 'externalIP')) && tracker.owns(claim(both, 'loadBalancerIP'))).toBe(true)
    expect(tracker.apply([put(old)])).toHaveLength(1)
    const external: Service = { ...both, loadBalancerIPs: [] }
    expect(tracker.apply([put(external)])).toEqual([])
    expect(tracker.owns(claim(external, 'externalIP'))).toBe(true)
    expect(shown(tracker.apply([put({ ...external, externalIPs: [] })]))).toEqual([])
    expect(tracker.owns(claim(old, 'externalIP'))).toBe(true)
  })

  it('S9.1 other ports and protocols of the address are other things', () => {
    const udp = named('n/udp', { externalIPs: [vip], ports: [servicePort({ protocol: 'UDP' })] })
    const other = named('n/other', { externalIPs: [vip], ports: [servicePort({ port: port(81) })] })
    const tracker = new Tracker({ startedAt: 0 })
    expect(tracker.apply([put(old), put(udp), put(other)])).toEqual([])
    for (const each of [old, udp, other]) expect(tracker.owns(claim(each, 'externalIP'))).toBe(true)
  })

  it('S9.1 two ports of one Service compete by name', () => {
    const ports = ['b', 'a'].map((name) => servicePort({ name, nodePort: port(30_000) }))
    const both = service('n/both', { ports })
    const tracker = new Tracker({ startedAt: 0 })
    const problems = tracker.apply([put(both)])
    // They share the ClusterIP's port as well as the NodePort.
    expect(problems.map(({ field }) => field).sort()).toEqual([
      'spec.clusterIPs',
      'spec.ports[?(@.name=="b")].nodePort',
    ])
    expect(ports.map((each) => tracker.owns({ kind: 'nodePort', service: both.key, port: each }))).toEqual([
      false,
      true,
    ])
  })

  it('S9.5 NodePorts compete by age over both families, by protocol', () => {
    const taken = [servicePort({ nodePort: port(30_000) })]
    const four = named('n/four', { ports: taken, created: 2 })
    const six = service('n/six', { ports: taken, created: 1, clusterIPs: [ip('fd00::1')] })
    const udp = named('n/udp', { ports: [servicePort({ protocol: 'UDP', nodePort: port(30_000) })], created: 3 })
    const tracker = new Tracker({ startedAt: 0 })
    expect(shown(tracker.apply([put(four), put(six), put(udp)]))).toEqual([
      'n/four spec.ports[0].nodePort: TCP 30000 belongs to Service n/six (spec.ports[0].nodePort) and is not served for this Service',
    ])
    expect([four, six, udp].map((each) => tracker.owns(nodePort(each)))).toEqual([false, true, true])
  })

  it('S9.5 a health check port yields to TCP NodePorts of any age, and to older health check ports', () => {
    const number = port(30_000)
    const first = named('n/first', { healthCheckNodePort: number, created: 1 })
    const second = named('n/second', { healthCheckNodePort: number, created: 2 })
    const served = named('n/served', { ports: [servicePort({ nodePort: number })], created: 3 })
    const tracker = new Tracker({ startedAt: 0 })
    expect(tracker.apply([put(second)])).toEqual([])
    expect(tracker.apply([put(first)]).map(({ object, field }) => [object.name, field])).toEqual([
      ['second', 'spec.healthCheckNodePort'],
    ])
    expect(tracker.apply([put(served)]).map(({ object }) => object.name)).toEqual(['first'])
    expect([first, second].map((each) => tracker.owns(health(each)))).toEqual([false, false])
    expect(tracker.owns(nodePort(served))).toBe(true)
    tracker.apply([drop(served)])
    expect([first, second].map((each) => tracker.owns(health(each)))).toEqual([true, false])
  })

  it('S9.6 a Service without a ClusterIP of the family keeps no external address of it', () => {
    const six = service('n/six', { clusterIPs: [ip('fd00::1')], externalIPs: [vip, ip('2001:db8::1')], created: 1 })
    const tracker = new Tracker({ startedAt: 0 })
    expect(tracker.apply([put(six), put(young)])).toEqual([])
    expect(tracker.owns(claim(young, 'externalIP'))).toBe(true)
  })

  it('stays quick with thousands of Services after one address', () => {
    const crowd = Array.from({ length: 5_000 }, (_, i) =>
      service(`n/s${i}`, { clusterIPs: [ip(`10.98.${i >> 8}.${i & 255}`)], externalIPs: [vip], created: i + 1 }),
    )
    const tracker = new Tracker({ startedAt: 0 })
    expect(tracker.apply(crowd.map(put))).toHaveLength(4_999)
    const start = performance.now()
    for (let i = 0; i < 1_000; i++) {
      const owner = crowd[i]
      if (owner !== undefined) tracker.apply([drop(owner)])
    }
    expect(tracker.owns(claim(crowd[1_000] ?? old, 'externalIP'))).toBe(true)
    expect(performance.now() - start, 'a thousand hand-overs, in ms').toBeLessThan(1_000)
    expect(tracker.service(key('n/s1000'))).toBeDefined()
  })
})

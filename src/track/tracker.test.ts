import { describe, expect, it } from 'vitest'
import {
  cidr,
  endpoint,
  endpointPort,
  ip,
  key,
  node,
  port,
  service,
  servicePort,
  slice,
} from '../../test/property/track-objects.ts'
import type { ModelChange } from '../model/change.ts'
import type { EndpointSlice } from '../model/endpoint-slice.ts'
import { sliceKey } from '../model/names.ts'
import type { Node } from '../model/node.ts'
import { defaultScheduling } from '../model/scheduling.ts'
import type { Service } from '../model/service.ts'
import { Tracker } from './tracker.ts'

const put = (value: Service): ModelChange => ({ kind: 'service', key: value.key, value })
const drop = (name: string): ModelChange => ({ kind: 'service', key: key(name), value: undefined })
const putSlice = (value: EndpointSlice): ModelChange => ({ kind: 'slice', key: value.key, value })
const dropSlice = (namespace: string, name: string): ModelChange => ({
  kind: 'slice',
  key: sliceKey(namespace, name),
  value: undefined,
})
const putNode = (value: Node | undefined): ModelChange => ({ kind: 'node', value })

/** A tracker with these objects already committed. */
const settled = (...changes: readonly ModelChange[]): Tracker => {
  const tracker = new Tracker({ startedAt: 1_000 })
  tracker.apply(changes)
  if (tracker.take() !== undefined) tracker.commit()
  return tracker
}
const dirty = (tracker: Tracker): readonly string[] => [...(tracker.take()?.services ?? [])].sort()

const a = service('ns/a')
const aSlice = slice('ns/a-1', [endpoint('10.0.0.1'), endpoint('10.0.0.2')])

describe('what makes a Service dirty', () => {
  const changes: readonly [string, Partial<Service>][] = [
    ['clusterIPs', { clusterIPs: [ip('10.96.0.2')] }],
    ['externalIPs', { externalIPs: [ip('203.0.113.1')] }],
    ['loadBalancerIPs', { loadBalancerIPs: [ip('203.0.113.1')] }],
    ['sourceRanges', { sourceRanges: [cidr('10.0.0.0/8')] }],
    ['a port', { ports: [servicePort({ port: port(81) })] }],
    ['a protocol', { ports: [servicePort({ protocol: 'UDP' })] }],
    ['a NodePort', { ports: [servicePort({ nodePort: port(30_000) })] }],
    ['one more port', { ports: [servicePort(), servicePort({ name: 'b', port: port(81) })] }],
    ['internalPolicy', { internalPolicy: 'Local' }],
    ['externalPolicy', { externalPolicy: 'Local' }],
    ['affinitySeconds', { affinitySeconds: 10 }],
    ['healthCheckNodePort', { healthCheckNodePort: port(30_001) }],
    ['the scheduler', { scheduling: { ...defaultScheduling, scheduler: 'rr' } }],
    ['a scheduler flag', { scheduling: { ...defaultScheduling, flags: ['sh-port'] } }],
    ['a weight', { scheduling: { ...defaultScheduling, weights: new Map([['here', 2]]) } }],
  ]
  it.each(changes)('%s', (_, change) => {
    const tracker = settled(put(a))
    tracker.apply([put(service('ns/a', change))])
    expect(dirty(tracker)).toEqual(['ns/a'])
    expect(tracker.serviceChangesPending).toBe(0)
  })

  it('is not an equal object, nor its uid or age', () => {
    const tracker = settled(put(a))
    tracker.apply([put(service('ns/a')), put(service('ns/a', { uid: 'other', created: 5 }))])
    expect(tracker.take()).toBeUndefined()
    expect(tracker.service(key('ns/a'))?.uid).toBe('other')
    expect(tracker.serviceChangesTotal).toBe(3)
    expect(tracker.serviceChangesPending).toBe(0)
  })

  it('is its coming and going, and not the going of what never was', () => {
    const tracker = new Tracker({ startedAt: 0 })
    tracker.apply([drop('ns/a')])
    expect(tracker.take()).toBeUndefined()
    tracker.apply([put(a)])
    expect(dirty(tracker)).toEqual(['ns/a'])
    tracker.commit()
    tracker.apply([drop('ns/a')])
    expect(dirty(tracker)).toEqual(['ns/a'])
    expect(tracker.service(key('ns/a'))).toBeUndefined()
  })
})

describe('slices', () => {
  const [first, second] = [endpoint('10.0.0.1'), endpoint('10.0.0.2')]
  const changes: readonly [string, EndpointSlice][] = [
    ['an endpoint more', slice('ns/a-1', [first, second, endpoint('10.0.0.3')])],
    ['an endpoint less', slice('ns/a-1', [first])],
    ['readiness', slice('ns/a-1', [first, endpoint('10.0.0.2', { ready: false })])],
    ['serving', slice('ns/a-1', [first, endpoint('10.0.0.2', { serving: false })])],
    ['terminating', slice('ns/a-1', [first, endpoint('10.0.0.2', { terminating: true })])],
    ['a node name', slice('ns/a-1', [first, endpoint('10.0.0.2', { nodeName: 'here' })])],
    ['a zone', slice('ns/a-1', [first, endpoint('10.0.0.2', { zone: 'z' })])],
    ['a pod name', slice('ns/a-1', [first, endpoint('10.0.0.2', { podName: 'p' })])],
    ['a zone hint', slice('ns/a-1', [first, endpoint('10.0.0.2', { zoneHints: ['z'] })])],
    ['a node hint', slice('ns/a-1', [first, endpoint('10.0.0.2', { nodeHints: ['here'] })])],
    ['a port', slice('ns/a-1', [first, second], { ports: [endpointPort({ port: port(9090) })] })],
  ]
  it.each(changes)('make their Service dirty by %s', (_, changed) => {
    const tracker = settled(put(a), putSlice(aSlice))
    tracker.apply([putSlice(changed)])
    expect(tracker.endpointChangesPending).toBe(1)
    const batch = tracker.take()
    expect([...(batch?.services ?? [])]).toEqual(['ns/a'])
    expect([...(batch?.endpoints ?? [])]).toEqual(['ns/a'])
    expect(tracker.slicesOf(key('ns/a'))).toEqual([changed])
  })

  it('change nothing by metadata alone', () => {
    const tracker = settled(put(a), putSlice(aSlice))
    tracker.apply([putSlice({ ...aSlice, triggeredAt: 9_999 })])
    expect(tracker.take()).toBeUndefined()
    expect(tracker.endpointChangesTotal).toBe(2)
    expect(tracker.endpointChangesPending).toBe(0)
  })

  it('are merged per Service, ordered by key, and leave one by one', () => {
    const tracker = settled(put(a))
    const slices = ['3', '1', '2'].map((n) => slice(`ns/a-${n}`, [endpoint(`10.0.0.${n}`)]))
    tracker.apply(slices.map(putSlice))
    expect(tracker.slicesOf(key('ns/a')).map((each) => each.key)).toEqual(['ns/a-1', 'ns/a-2', 'ns/a-3'])
    tracker.apply([dropSlice('ns', 'a-2')])
    expect(tracker.slicesOf(key('ns/a')).map((each) => each.key)).toEqual(['ns/a-1', 'ns/a-3'])
    tracker.apply([dropSlice('ns', 'a-1'), dropSlice('ns', 'a-3'), dropSlice('ns', 'a-3')])
    expect(tracker.slicesOf(key('ns/a'))).toEqual([])
  })

  it('of no known Service wait for it and make no work', () => {
    const tracker = new Tracker({ startedAt: 0 })
    tracker.apply([putSlice(aSlice)])
    expect(tracker.take()).toBeUndefined()
    expect(tracker.endpointChangesPending).toBe(0)
    tracker.apply([put(a)])
    expect(dirty(tracker)).toEqual(['ns/a'])
    expect(tracker.slicesOf(key('ns/a'))).toEqual([aSlice])
  })

  it('that move to another Service change both', () => {
    const tracker = settled(put(a), put(service('ns/b', { clusterIPs: [ip('10.96.0.2')] })), putSlice(aSlice))
    tracker.apply([putSlice({ ...aSlice, service: key('ns/b') })])
    expect(dirty(tracker)).toEqual(['ns/a', 'ns/b'])
    expect(tracker.slicesOf(key('ns/a'))).toEqual([])
    expect(tracker.slicesOf(key('ns/b'))).toHaveLength(1)
  })

  it('count every notification, and as pending every change', () => {
    const tracker = settled(put(a), putSlice(aSlice))
    tracker.apply([putSlice(slice('ns/a-1', [])), putSlice(aSlice), putSlice(aSlice)])
    expect(tracker.endpointChangesTotal).toBe(4)
    expect(tracker.endpointChangesPending).toBe(2)
  })
})

describe('trigger times', () => {
  const at = (triggeredAt: number, ...addresses: readonly string[]): ModelChange =>
    putSlice(
      slice(
        'ns/a-1',
        addresses.map((address) => endpoint(address)),
        { triggeredAt },
      ),
    )

  it('gather per Service until committed, without those from before the start', () => {
    const tracker = settled(put(a))
    tracker.apply([at(999, '10.0.0.1'), at(1_000, '10.0.0.2'), at(1_001, '10.0.0.3'), at(1_500, '10.0.0.4')])
    expect(tracker.take()?.triggeredAt).toEqual(new Map([['ns/a', [1_001, 1_500]]]))
    tracker.commit()
    tracker.apply([put(service('ns/a', { affinitySeconds: 1 }))])
    expect(tracker.take()?.triggeredAt).toEqual(new Map())
  })

  it('are dropped when a slice of the Service goes', () => {
    const tracker = settled(put(a), putSlice(slice('ns/a-2', [])))
    tracker.apply([at(1_100, '10.0.0.1'), dropSlice('ns', 'a-2'), at(1_200, '10.0.0.2')])
    expect(tracker.take()?.triggeredAt).toEqual(new Map([['ns/a', [1_200]]]))
  })

  it('come back older first, unless a slice went meanwhile', () => {
    const tracker = settled(put(a), putSlice(slice('ns/a-2', [])))
    tracker.apply([at(1_100, '10.0.0.1')])
    tracker.take()
    tracker.apply([at(1_200, '10.0.0.2')])
    tracker.rollback()
    expect(tracker.take()?.triggeredAt).toEqual(new Map([['ns/a', [1_100, 1_200]]]))
    tracker.apply([dropSlice('ns', 'a-2'), at(1_300, '10.0.0.3')])
    tracker.rollback()
    expect(tracker.take()?.triggeredAt).toEqual(new Map([['ns/a', [1_300]]]))
  })

  it('do not pile up without end while writes fail', () => {
    const tracker = settled(put(a))
    for (let i = 0; i < 2_000; i++) tracker.apply([at(2_000 + i, `10.0.${i % 200}.1`)])
    const times = tracker.take()?.triggeredAt.get(key('ns/a')) ?? []
    expect(times[0]).toBe(2_000)
    expect(times.length).toBeLessThan(500)
  })
})

describe('take, commit, rollback', () => {
  it('hands out once, and again only after a rollback', () => {
    const tracker = settled()
    tracker.apply([put(a)])
    expect(dirty(tracker)).toEqual(['ns/a'])
    tracker.rollback()
    expect(tracker.serviceChangesPending).toBe(1)
    expect(dirty(tracker)).toEqual(['ns/a'])
    tracker.commit()
    expect(tracker.take()).toBeUndefined()
  })

  it('keeps what comes in between apart, and joins it under a rollback', () => {
    const b = service('ns/b', { clusterIPs: [ip('10.96.0.2')] })
    const tracker = settled()
    tracker.apply([put(a), putNode(node())])
    tracker.take()
    tracker.apply([put(b)])
    tracker.rollback()
    const batch = tracker.take()
    expect([...(batch?.services ?? [])].sort()).toEqual(['ns/a', 'ns/b'])
    expect(batch).toMatchObject({ hostChanged: true, allServices: true })
    tracker.apply([putSlice(aSlice)])
    tracker.commit()
    expect(dirty(tracker)).toEqual(['ns/a'])
  })

  it('refuses a second batch, and an end without a batch', () => {
    const tracker = settled()
    expect(() => tracker.commit()).toThrow('no batch')
    expect(() => tracker.rollback()).toThrow('no batch')
    tracker.apply([put(a)])
    tracker.take()
    expect(() => tracker.take()).toThrow('neither committed nor rolled back')
  })
})

describe('the Node', () => {
  it.each([
    ['its zone', { zone: 'z1' }, { hostChanged: true, allServices: true }],
    ['its addresses', { addresses: [ip('192.0.2.11')] }, { hostChanged: true, allServices: true }],
    ['its pod CIDRs', { podCidrs: [cidr('10.1.0.0/24')] }, { hostChanged: true, allServices: false }],
  ] as const)('asks for work by %s', (_, change, expected) => {
    const tracker = settled(put(a), putNode(node()))
    tracker.apply([putNode(node(change))])
    const batch = tracker.take()
    expect(batch).toMatchObject(expected)
    expect(batch?.services.size).toBe(0)
  })

  it('asks for none by its heartbeat, by leaving or by its deletion', () => {
    const tracker = settled(putNode(node()))
    tracker.apply([putNode(node()), putNode(node({ leaving: true }))])
    expect(tracker.node()?.leaving).toBe(true)
    tracker.apply([putNode(undefined)])
    expect(tracker.node()).toBeUndefined()
    expect(tracker.lastNode()?.name).toBe('here')
    expect(tracker.take()).toBeUndefined()
    tracker.apply([putNode(node())])
    expect(tracker.take()).toBeUndefined()
  })
})

describe('ServiceCIDRs', () => {
  const put = (name: string, ...cidrs: readonly string[]): ModelChange => ({
    kind: 'serviceCidr',
    name,
    value: { name, cidrs: cidrs.map(cidr) },
  })

  it('are the union of the objects there are: deleting one keeps what another lists', () => {
    const tracker = settled(put('one', '10.96.0.0/16', 'fd00::/112'), put('two', '10.96.0.0/16', '10.97.0.0/16'))
    expect(tracker.serviceCidrs()).toEqual(['10.96.0.0/16', '10.97.0.0/16', 'fd00::/112'])
    tracker.apply([{ kind: 'serviceCidr', name: 'two', value: undefined }])
    expect(tracker.take()).toMatchObject({ hostChanged: true, allServices: false })
    expect(tracker.serviceCidrs()).toEqual(['10.96.0.0/16', 'fd00::/112'])
  })

  it('ask for no work when nothing in them changed', () => {
    const tracker = settled(put('one', '10.96.0.0/16'))
    tracker.apply([put('one', '10.96.0.0/16'), { kind: 'serviceCidr', name: 'none', value: undefined }])
    expect(tracker.take()).toBeUndefined()
  })
})

import { describe, expect, it } from 'vitest'
import { parseNode, parseServiceCidr } from './node.ts'

const node = (parts: { metadata?: object; spec?: unknown; status?: unknown } = {}): unknown => ({
  metadata: { name: 'n1', labels: { 'topology.kubernetes.io/zone': 'a' }, ...parts.metadata },
  spec: parts.spec ?? { podCIDR: '10.244.0.0/24', podCIDRs: ['10.244.0.0/24', 'fd00::/64'] },
  status: parts.status ?? { addresses: [{ type: 'InternalIP', address: '192.0.2.1' }] },
})

describe('a Node', () => {
  it('is read', () => {
    expect(parseNode(node())).toEqual({
      value: {
        name: 'n1',
        addresses: ['192.0.2.1'],
        podCidrs: ['10.244.0.0/24', 'fd00::/64'],
        zone: 'a',
        leaving: false,
      },
      problems: [],
    })
  })

  it('gives all InternalIPs before all ExternalIPs, and no names', () => {
    const addresses = [
      { type: 'ExternalIP', address: '198.51.100.1' },
      { type: 'Hostname', address: 'n1' },
      { type: 'InternalIP', address: '192.0.2.1' },
      { type: 'InternalIP', address: 'n1' },
      { type: 'InternalDNS', address: 'n1.local' },
      { type: 'InternalIP', address: 'fd00::1' },
    ]
    const { value, problems } = parseNode(node({ status: { addresses } }))
    expect(value?.addresses).toEqual(['192.0.2.1', 'fd00::1', '198.51.100.1'])
    expect(problems.map(({ field }) => field)).toEqual(['status.addresses[3].address'])
  })

  it('falls back to podCIDR, and leaves out what is no network', () => {
    expect(parseNode(node({ spec: { podCIDR: '10.0.0.0/24' } })).value?.podCidrs).toEqual(['10.0.0.0/24'])
    const { value, problems } = parseNode(node({ spec: { podCIDRs: ['10.0.0.0', 'fd00::/64'] } }))
    expect(value?.podCidrs).toEqual(['fd00::/64'])
    expect(problems.map(({ field, reason }) => `${field}: ${reason}`)).toEqual([
      'spec.podCIDRs[0]: "10.0.0.0" is not a network such as 10.0.0.0/24, so it is left out',
    ])
  })

  it.each<[string, object, boolean]>([
    ['deleted', { metadata: { deletionTimestamp: '2026-01-01T00:00:00Z' } }, true],
    ['tainted', { spec: { taints: [{ key: 'ToBeDeletedByClusterAutoscaler', effect: 'NoSchedule' }] } }, true],
    ['tainted otherwise', { spec: { taints: [{ key: 'node.kubernetes.io/not-ready' }] } }, false],
  ])('%s: leaving', (_what, parts, leaving) => {
    expect(parseNode(node(parts)).value?.leaving).toBe(leaving)
  })

  it.each([{}, { labels: { 'topology.kubernetes.io/zone': '' } }])('without a zone has none', (metadata) => {
    expect(parseNode(node({ metadata: { labels: {}, ...metadata } })).value?.zone).toBeUndefined()
  })

  it('without status and spec is a name', () => {
    expect(parseNode({ metadata: { name: 'n1' } })).toEqual({
      value: { name: 'n1', addresses: [], podCidrs: [], zone: undefined, leaving: false },
      problems: [],
    })
  })
})

describe('a ServiceCIDR', () => {
  it('is read, without what is no network', () => {
    const { value, problems } = parseServiceCidr({
      metadata: { name: 'kubernetes' },
      spec: { cidrs: ['10.96.0.0/12', 'x', 'fd00::/108'] },
    })
    expect(value).toEqual({ name: 'kubernetes', cidrs: ['10.96.0.0/12', 'fd00::/108'] })
    expect(problems).toEqual([
      {
        object: { kind: 'ServiceCIDR', namespace: undefined, name: 'kubernetes' },
        field: 'spec.cidrs[1]',
        reason: '"x" is not a network such as 10.0.0.0/24, so it is left out',
      },
    ])
  })
})

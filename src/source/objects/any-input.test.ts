import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseEndpointSlice } from './endpoint-slice.ts'
import { parseNode, parseServiceCidr } from './node.ts'
import { parseService } from './service.ts'
import { toChanges } from './to-changes.ts'

const options = { proxyName: undefined, allowExternalIPs: true }

const seeds: readonly unknown[] = [
  {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {
      name: 'web',
      namespace: 'shop',
      labels: { a: 'b' },
      annotations: { 'weir.dev/scheduler': 'sh', 'weir.dev/scheduler-flags': 'sh-port', 'weir.dev/weights': '{"a":1}' },
    },
    spec: {
      type: 'LoadBalancer',
      clusterIP: '10.0.0.1',
      clusterIPs: ['10.0.0.1', 'fd00::1'],
      ipFamilies: ['IPv4', 'IPv6'],
      ports: [{ name: 'http', port: 80, nodePort: 30080, protocol: 'TCP' }],
      externalIPs: ['192.0.2.1'],
      loadBalancerSourceRanges: ['10.0.0.0/8'],
      externalTrafficPolicy: 'Local',
      internalTrafficPolicy: 'Local',
      healthCheckNodePort: 32000,
      sessionAffinity: 'ClientIP',
      sessionAffinityConfig: { clientIP: { timeoutSeconds: 5 } },
    },
    status: { loadBalancer: { ingress: [{ ip: '203.0.113.1', ipMode: 'VIP' }] } },
  },
  {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      name: 'web-1',
      labels: { 'kubernetes.io/service-name': 'web' },
      annotations: { 'endpoints.kubernetes.io/last-change-trigger-time': '2026-01-01T00:00:00Z' },
    },
    addressType: 'IPv6',
    ports: [{ name: 'http', port: 80, protocol: 'TCP' }],
    endpoints: [
      {
        addresses: ['fd00::1'],
        conditions: { ready: true, serving: true, terminating: false },
        nodeName: 'n1',
        zone: 'a',
        targetRef: { kind: 'Pod', name: 'p' },
        hints: { forZones: [{ name: 'a' }], forNodes: [{ name: 'n1' }] },
      },
    ],
  },
  {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: 'n1', labels: { 'topology.kubernetes.io/zone': 'a' } },
    spec: { podCIDR: '10.0.0.0/24', podCIDRs: ['10.0.0.0/24'], taints: [{ key: 'x' }] },
    status: { addresses: [{ type: 'InternalIP', address: '192.0.2.1' }] },
  },
  { apiVersion: 'networking.k8s.io/v1', kind: 'ServiceCIDR', metadata: { name: 'c' }, spec: { cidrs: ['10.0.0.0/8'] } },
]

/** The seeds as one list, with the value at the `target`-th place replaced. */
const mutate = (target: number, replacement: unknown): { readonly json: unknown; readonly places: number } => {
  let places = 0
  const visit = (value: unknown): unknown => {
    if (places++ === target) return replacement
    if (Array.isArray(value)) return value.map(visit)
    if (typeof value !== 'object' || value === null) return value
    return Object.fromEntries(Object.entries(value).map(([key, child]) => [key, visit(child)]))
  }
  const json = visit({ apiVersion: 'v1', kind: 'List', items: seeds })
  return { json, places }
}

const places = mutate(-1, undefined).places

const parseEverything = (json: unknown): void => {
  const results = [parseService(json, options), parseEndpointSlice(json), parseNode(json), parseServiceCidr(json)]
  const problems = [...results.flatMap((result) => result.problems), ...toChanges(json, options).problems]
  for (const { object, field, reason } of problems) {
    expect(object.name).not.toBe('')
    expect(field).toMatch(/^[^\s.].*$/)
    expect(reason).toMatch(/^\S.*[^.\s]$/)
    expect(reason).not.toMatch(/\n|undefined|\[object/)
  }
}

describe('whatever the input', () => {
  it('the seeds are free of problems', () => {
    expect(toChanges({ kind: 'List', items: seeds }, options).problems).toEqual([])
    expect(toChanges({ kind: 'List', items: seeds }, options).changes).toHaveLength(seeds.length)
  })

  it('nothing throws on arbitrary JSON', () => {
    fc.assert(fc.property(fc.jsonValue({ maxDepth: 6 }), parseEverything), { numRuns: 300 })
  })

  it('nothing throws on values that JSON does not even have', () => {
    fc.assert(
      fc.property(fc.anything({ withBigInt: true, withDate: true, withNullPrototype: true }), parseEverything),
      { numRuns: 300 },
    )
  })

  it('nothing throws when any part of a valid object is something else, and the other objects survive', () => {
    const replacement = fc.oneof(
      fc.jsonValue({ maxDepth: 2 }),
      fc.constantFrom(
        null,
        '',
        0,
        -1,
        1.5,
        1e308,
        'None',
        {},
        [],
        [null],
        [[]],
        { toString: 1 },
        '\u0000',
        'a\nb',
        '…'.repeat(500),
      ),
    )
    fc.assert(
      fc.property(fc.nat(places - 1), replacement, (target, value) => {
        const { json } = mutate(target, value)
        parseEverything(json)
        const list = typeof json === 'object' && json !== null && 'items' in json ? json.items : undefined
        // Below the list, a fault can cost no more than the object that it is in.
        if (target > 3 && Array.isArray(list)) {
          const untouched = list.filter((item, i) => JSON.stringify(item) === JSON.stringify(seeds[i])).length
          expect(toChanges(json, options).changes.length).toBeGreaterThanOrEqual(untouched)
        }
        for (const item of Array.isArray(list) ? list : []) parseEverything(item)
      }),
      { numRuns: 1500 },
    )
  })
})

import { describe, expect, it } from 'vitest'
import { endpoint, endpointPort, ip, port, service, slice } from '../../test/property/track-objects.ts'
import type { Endpoint } from '../model/endpoint-slice.ts'
import type { Service } from '../model/service.ts'
import { healthCheck } from './health-checks.ts'

const context = { family: 'IPv4', nodeName: 'here', owns: () => true } as const
const web = (over: Partial<Service> = {}): Service => service('ns/web', { healthCheckNodePort: port(32_000), ...over })
const local = { nodeName: 'here' }
const count = (of: Service, ...endpoints: readonly Endpoint[]): number | undefined =>
  healthCheck(of, [slice('ns/web-1', endpoints)], context)?.localEndpoints

describe('S12 health check ports', () => {
  it('S12.1 say which Service, which port', () => {
    expect(healthCheck(web(), [], context)).toEqual({
      service: 'ns/web',
      namespace: 'ns',
      name: 'web',
      port: 32_000,
      localEndpoints: 0,
    })
  })

  it('S12.1 are absent without the field, without the port and without a ClusterIP of the family', () => {
    expect(healthCheck(service('ns/web'), [], context)).toBeUndefined()
    expect(healthCheck(web(), [], { ...context, owns: ({ kind }) => kind !== 'healthCheckNodePort' })).toBeUndefined()
    expect(healthCheck(web(), [], { ...context, family: 'IPv6' })).toBeUndefined()
  })

  it.each<[string, readonly Endpoint[], number]>([
    ['ready ones here', [endpoint('10.0.0.1', local), endpoint('10.0.0.2', local)], 2],
    ['not those elsewhere', [endpoint('10.0.0.1', { nodeName: 'there' }), endpoint('10.0.0.2')], 0],
    [
      'not those that only serve while they terminate',
      [endpoint('10.0.0.1', { ...local, ready: false, terminating: true })],
      0,
    ],
    ['not those of the other family', [endpoint('fd00::1', local)], 0],
    [
      'an address that is used again by its new pod',
      [endpoint('10.0.0.1', { ...local, ready: false, terminating: true }), endpoint('10.0.0.1', local)],
      1,
    ],
    [
      'an address that now lives elsewhere not at all',
      [endpoint('10.0.0.1', { ...local, terminating: true }), endpoint('10.0.0.1', { nodeName: 'there' })],
      0,
    ],
  ])('S12.2 count %s', (_, endpoints, expected) => {
    expect(count(web(), ...endpoints)).toBe(expected)
    expect(count(web(), ...[...endpoints].reverse())).toBe(expected)
  })

  it('S12.2 count an address once, whatever its ports and slices', () => {
    const ports = [endpointPort({ name: 'a' }), endpointPort({ name: 'b', port: port(9_090) })]
    const twice = ['1', '2'].map((n) => slice(`ns/web-${n}`, [endpoint('10.0.0.1', local)], { ports }))
    expect(healthCheck(web(), twice, context)?.localEndpoints).toBe(1)
  })

  it('S12.2 do not count a slice without ports', () => {
    const bare = slice('ns/web-1', [endpoint('10.0.0.1', local)], { ports: [] })
    expect(healthCheck(web(), [bare], context)?.localEndpoints).toBe(0)
  })

  it('S12.3 do not count drained endpoints: the load balancer should go elsewhere', () => {
    const scheduling = { scheduler: 'wrr', flags: [], weights: new Map([['10.0.0.1', 0]]) } as const
    expect(count(web({ scheduling }), endpoint('10.0.0.1', local), endpoint('10.0.0.2', local))).toBe(1)
  })

  it('S1.2 count per family', () => {
    const dual = web({ clusterIPs: [ip('10.96.0.1'), ip('fd00:96::1')] })
    const slices = [
      slice('ns/web-4', [endpoint('10.0.0.1', local)]),
      slice('ns/web-6', [endpoint('fd00::1', local), endpoint('fd00::2', local)], { family: 'IPv6' }),
    ]
    expect(healthCheck(dual, slices, context)?.localEndpoints).toBe(1)
    expect(healthCheck(dual, slices, { ...context, family: 'IPv6' })?.localEndpoints).toBe(2)
  })
})

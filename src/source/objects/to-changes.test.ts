import { describe, expect, it } from 'vitest'
import { objectName } from '../../model/problem.ts'
import { toChanges } from './to-changes.ts'

const options = { proxyName: undefined, allowExternalIPs: true }
const service = { metadata: { name: 'web' }, spec: { clusterIP: '10.0.0.1', ports: [{ port: 80 }] } }
const slice = {
  metadata: { name: 'web-1', labels: { 'kubernetes.io/service-name': 'web' } },
  addressType: 'IPv4',
  ports: [{ port: 80 }],
  endpoints: [],
}
const typed = (apiVersion: string, kind: string, object: object): object => ({ apiVersion, kind, ...object })

const read = (json: unknown) => {
  const { changes, problems } = toChanges(json, options)
  return {
    changes: changes.map((change) => {
      switch (change.kind) {
        case 'node':
          return `node ${change.value?.name}`
        case 'serviceCidr':
          return `serviceCidr ${change.name}`
        default:
          return `${change.kind} ${change.key}`
      }
    }),
    faults: problems.map(({ object, field, reason }) => `${objectName(object)} ${field}: ${reason}`),
  }
}

describe('documents', () => {
  it.each<[object, string]>([
    [typed('v1', 'Service', service), 'service default/web'],
    [typed('discovery.k8s.io/v1', 'EndpointSlice', slice), 'slice default/web-1'],
    [typed('v1', 'Node', { metadata: { name: 'n1' } }), 'node n1'],
    [
      typed('networking.k8s.io/v1', 'ServiceCIDR', { metadata: { name: 'c' }, spec: { cidrs: ['10.0.0.0/8'] } }),
      'serviceCidr c',
    ],
    [
      typed('networking.k8s.io/v1beta1', 'ServiceCIDR', { metadata: { name: 'c' }, spec: { cidrs: [] } }),
      'serviceCidr c',
    ],
  ])('%j', (json, change) => {
    expect(read(json)).toEqual({ changes: [change], faults: [] })
  })

  it('may be lists of any kind, in lists', () => {
    const json = typed('v1', 'List', {
      items: [
        typed('v1', 'ServiceList', { items: [service] }),
        typed('discovery.k8s.io/v1', 'EndpointSliceList', {
          items: [
            slice,
            typed('discovery.k8s.io/v1', 'EndpointSlice', { ...slice, metadata: { ...slice.metadata, name: 'web-2' } }),
          ],
        }),
        typed('v1', 'NodeList', { items: null }),
        typed('v1', 'List', {}),
      ],
    })
    expect(read(json)).toEqual({
      changes: ['service default/web', 'slice default/web-1', 'slice default/web-2'],
      faults: [],
    })
  })

  it('of other kinds give one clear line each', () => {
    const json = typed('v1', 'List', {
      items: [
        typed('apps/v1', 'Deployment', { metadata: { name: 'web', namespace: 'shop' } }),
        typed('v1', 'Namespace', { metadata: { name: 'shop' } }),
        typed('v1', 'Service', service),
      ],
    })
    expect(read(json)).toEqual({
      changes: ['service default/web'],
      faults: [
        'Deployment shop/web kind: "Deployment" is nothing that a service proxy reads, so it is skipped',
        'Namespace shop kind: "Namespace" is nothing that a service proxy reads, so it is skipped',
      ],
    })
  })

  it.each<[string, unknown, string]>([
    [
      'a foreign Service',
      typed('serving.knative.dev/v1', 'Service', service),
      'Service web apiVersion: "serving.knative.dev/v1" of Service is not known, so the Service is skipped',
    ],
    ['no apiVersion', { kind: 'Service', ...service }, 'Service web apiVersion: is missing, so the Service is skipped'],
    ['no kind', service, 'Object web kind: is missing, so the object is skipped'],
    ['a strange kind', { kind: 5 }, 'Object (unnamed) kind: 5 is not a kind, so the object is skipped'],
    ['text', 'hello', 'Object (unnamed) kind: "hello" is not an object, so it is skipped'],
    [
      'a kind of its own that ends in List',
      typed('x/v1', 'AllowList', { metadata: { name: 'a' } }),
      'AllowList a kind: "AllowList" is nothing that a service proxy reads, so it is skipped',
    ],
    [
      'items that are none',
      typed('v1', 'List', { items: {} }),
      'List (unnamed) items: an object is not a list, so it counts as empty',
    ],
  ])('%s', (_what, json, fault) => {
    expect(read(json)).toEqual({ changes: [], faults: [fault] })
  })

  it('nested without end are cut off', () => {
    let json: unknown = typed('v1', 'Service', service)
    for (let i = 0; i < 50_000; i++) json = { kind: 'List', items: [json] }
    expect(read(json)).toEqual({
      changes: [],
      faults: ['List (unnamed) items: lies within 8 other lists, so it counts as empty'],
    })
  })
})

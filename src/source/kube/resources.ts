import type { ModelChange } from '../../model/change.ts'
import { serviceKey, sliceKey } from '../../model/names.ts'
import { parseEndpointSlice } from '../objects/endpoint-slice.ts'
import { parseNode, parseServiceCidr } from '../objects/node.ts'
import type { Parsed } from '../objects/parsed.ts'
import { parseService, proxyNameLabel, type ServiceOptions } from '../objects/service.ts'
import type { ObjectName } from './known.ts'
import type { ResourceSpec } from './resource.ts'

export interface ResourceOptions extends ServiceOptions {
  /** Ours; no other Node is watched. */
  readonly nodeName: string
}

/** What a node proxy watches, with the selectors of kube-proxy 1.36. */
export const resourceSpecs = ({ nodeName, ...options }: ResourceOptions): readonly ResourceSpec[] => [
  {
    name: 'services',
    path: '/api/v1/services',
    fieldSelector: 'spec.clusterIP!=None',
    labelSelector: options.proxyName === undefined ? `!${proxyNameLabel}` : `${proxyNameLabel}=${options.proxyName}`,
    optional: false,
    toChanges: changesBy(
      (json) => parseService(json, options),
      ({ namespace, name }, value) => ({ kind: 'service', key: serviceKey(namespace ?? '', name), value }),
    ),
  },
  {
    name: 'endpointslices',
    path: '/apis/discovery.k8s.io/v1/endpointslices',
    fieldSelector: undefined,
    labelSelector: '!service.kubernetes.io/headless',
    optional: false,
    toChanges: changesBy(parseEndpointSlice, ({ namespace, name }, value) => ({
      kind: 'slice',
      key: sliceKey(namespace ?? '', name),
      value,
    })),
  },
  {
    name: 'nodes',
    path: '/api/v1/nodes',
    fieldSelector: `metadata.name=${nodeName}`,
    labelSelector: undefined,
    optional: false,
    toChanges: changesBy(parseNode, (_, value) => ({ kind: 'node', value })),
  },
  {
    name: 'servicecidrs',
    path: '/apis/networking.k8s.io/v1/servicecidrs',
    fieldSelector: undefined,
    labelSelector: undefined,
    // Since Kubernetes 1.33.
    optional: true,
    toChanges: changesBy(parseServiceCidr, ({ name }, value) => ({ kind: 'serviceCidr', name, value })),
  },
]

const changesBy =
  <T>(
    parse: (json: unknown) => Parsed<T>,
    toChange: (name: ObjectName, value: T | undefined) => ModelChange,
  ): ResourceSpec['toChanges'] =>
  (event) => {
    if (event.kind === 'gone') return { changes: [toChange(event.name, undefined)], problems: [] }
    const { value, problems } = parse(event.json)
    return { changes: [toChange(event.name, value)], problems }
  }

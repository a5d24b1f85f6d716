/** API objects as a server sends them, with the metadata that a proxy reads past: it is most of the bytes. */
import type { Manifest } from '../../test/apiserver/resources.ts'
import { ownNode, ownNodeIP, serviceRange } from './addresses.ts'

const created = '2026-01-05T08:00:00Z'

export interface Member {
  readonly ip: string
  readonly pod: string
  readonly node: string
  readonly zone: string
  readonly ready: boolean
}

export interface ServiceShape {
  readonly namespace: string
  readonly name: string
  readonly clusterIP: string
  readonly port: number
  readonly nodePort: number | undefined
}

export const targetPort = 8080
const portName = 'http'

const uid = (kind: string, name: string): string => {
  const hex = Buffer.from(`${kind}/${name}`).toString('hex').padEnd(32, '0').slice(-32)
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
}

const managedBy = (manager: string, apiVersion: string, fields: object): object => ({
  manager,
  operation: 'Update',
  apiVersion,
  time: created,
  fieldsType: 'FieldsV1',
  fieldsV1: fields,
})

export const serviceManifest = ({ namespace, name, clusterIP, port, nodePort }: ServiceShape): Manifest => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: {
    name,
    namespace,
    uid: uid('service', `${namespace}/${name}`),
    resourceVersion: '1000',
    creationTimestamp: created,
    labels: { 'app.kubernetes.io/name': name, 'app.kubernetes.io/managed-by': 'Helm' },
    managedFields: [
      managedBy('helm', 'v1', {
        'f:metadata': { 'f:labels': { '.': {}, 'f:app.kubernetes.io/name': {}, 'f:app.kubernetes.io/managed-by': {} } },
        'f:spec': { 'f:internalTrafficPolicy': {}, 'f:ports': { '.': {} }, 'f:selector': {}, 'f:type': {} },
      }),
    ],
  },
  spec: {
    type: nodePort === undefined ? 'ClusterIP' : 'NodePort',
    clusterIP,
    clusterIPs: [clusterIP],
    ipFamilies: ['IPv4'],
    ipFamilyPolicy: 'SingleStack',
    ports: [{ name: portName, protocol: 'TCP', port, targetPort, ...(nodePort === undefined ? {} : { nodePort }) }],
    selector: { 'app.kubernetes.io/name': name },
    sessionAffinity: 'None',
    internalTrafficPolicy: 'Cluster',
    ...(nodePort === undefined ? {} : { externalTrafficPolicy: 'Cluster' }),
  },
  status: { loadBalancer: {} },
})

export interface SliceVersion {
  readonly resourceVersion: number
  /** RFC 3339: when what the slice tells of began. */
  readonly changedAt: string
}

/** The one EndpointSlice of a Service. */
export const sliceManifest = (
  { namespace, name }: Pick<ServiceShape, 'namespace' | 'name'>,
  members: readonly Member[],
  { resourceVersion, changedAt }: SliceVersion = { resourceVersion: 1000, changedAt: created },
): Manifest => ({
  apiVersion: 'discovery.k8s.io/v1',
  kind: 'EndpointSlice',
  metadata: {
    name: `${name}-x7k2p`,
    generateName: `${name}-`,
    namespace,
    uid: uid('slice', `${namespace}/${name}`),
    resourceVersion: String(resourceVersion),
    generation: resourceVersion,
    creationTimestamp: created,
    labels: {
      'app.kubernetes.io/name': name,
      'endpointslice.kubernetes.io/managed-by': 'endpointslice-controller.k8s.io',
      'kubernetes.io/service-name': name,
    },
    annotations: { 'endpoints.kubernetes.io/last-change-trigger-time': changedAt },
    ownerReferences: [
      {
        apiVersion: 'v1',
        kind: 'Service',
        name,
        uid: uid('service', `${namespace}/${name}`),
        controller: true,
        blockOwnerDeletion: true,
      },
    ],
    managedFields: [
      managedBy('kube-controller-manager', 'discovery.k8s.io/v1', {
        'f:addressType': {},
        'f:endpoints': {},
        'f:metadata': { 'f:annotations': { '.': {} }, 'f:generateName': {}, 'f:labels': { '.': {} } },
        'f:ports': {},
      }),
    ],
  },
  addressType: 'IPv4',
  ports: [{ name: portName, protocol: 'TCP', port: targetPort }],
  endpoints: members.map(({ ip, pod, node, zone, ready }) => ({
    addresses: [ip],
    conditions: { ready, serving: ready, terminating: false },
    nodeName: node,
    zone,
    targetRef: { kind: 'Pod', namespace, name: pod, uid: uid('pod', pod) },
  })),
})

export const nodeManifest = (): Manifest => ({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name: ownNode, resourceVersion: '1000', labels: { 'topology.kubernetes.io/zone': 'zone-a' } },
  spec: { podCIDR: '10.128.0.0/20', podCIDRs: ['10.128.0.0/20'] },
  status: { addresses: [{ type: 'InternalIP', address: ownNodeIP }] },
})

export const serviceCidrManifest = (): Manifest => ({
  apiVersion: 'networking.k8s.io/v1',
  kind: 'ServiceCIDR',
  metadata: { name: 'kubernetes', resourceVersion: '1000' },
  spec: { cidrs: [serviceRange] },
})

/** Manifests as a cluster of the {@link Stage} would have them: JSON, to be read like any other. */
import type { Protocol } from '../../src/model/protocol.ts'
import { type Net, nodeName, nodePort, otherNode, otherZone, podPorts, port, type Server, zone } from './net.ts'

/** A Kubernetes object. */
export interface Manifest {
  readonly kind: string
  readonly metadata: { readonly namespace?: string; readonly name: string }
}

export interface ServiceOptions {
  readonly name?: string
  readonly spec?: Readonly<Record<string, unknown>>
  /** Fields of the one port. */
  readonly port?: Readonly<Record<string, unknown>>
  readonly ingress?: readonly Readonly<Record<string, unknown>>[]
  readonly annotations?: Readonly<Record<string, string>>
  readonly labels?: Readonly<Record<string, string>>
  readonly created?: string
}

const defaultName = 'web'

/** A Service of one family with one port, 80 of its first ClusterIP, and no other address. */
export const service = (net: Net, protocol: Protocol, options: ServiceOptions = {}): Manifest => {
  const { name = defaultName, spec, ingress = [], annotations = {}, labels = {}, created } = options
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {
      namespace: 'test',
      name,
      annotations,
      labels,
      creationTimestamp: created ?? '2024-01-01T00:00:00Z',
    },
    spec: {
      type: 'ClusterIP',
      clusterIP: net.clusterIP(1),
      clusterIPs: [net.clusterIP(1)],
      ipFamilies: [net.family],
      ports: [{ protocol, port, ...options.port }],
      ...spec,
    },
    status: { loadBalancer: { ingress } },
  } as Manifest
}

/** A Service with every kind of address: ClusterIP, NodePort, external IP and load balancer IP, each the first. */
export const exposed = (net: Net, protocol: Protocol, options: ServiceOptions = {}): Manifest =>
  service(net, protocol, {
    ingress: [{ ip: net.vip(1), ipMode: 'VIP' }],
    ...options,
    spec: { type: 'LoadBalancer', externalIPs: [net.externalIP(1)], ...options.spec },
    port: { nodePort, ...options.port },
  })

/** The addresses of {@link exposed} that are not its ClusterIP, each with its port. */
export const externalFronts = (net: Net): readonly Front[] => [
  { what: 'NodePort', ip: net.at.node, port: nodePort },
  { what: 'external IP', ip: net.externalIP(1), port },
  { what: 'load balancer IP', ip: net.vip(1), port },
]
export const clusterFront = (net: Net): Front => ({ what: 'ClusterIP', ip: net.clusterIP(1), port })

export interface Front {
  readonly what: string
  readonly ip: string
  readonly port: number
}

export interface EndpointOptions {
  readonly ready?: boolean
  readonly serving?: boolean
  readonly terminating?: boolean
  readonly nodeName?: string | undefined
  readonly zones?: readonly string[]
  readonly nodes?: readonly string[]
}

const isLocal = (pod: Server): boolean => !pod.startsWith('remote')

/** A pod as an endpoint: on our node and in its zone, or on the other node. */
export const endpoint = (net: Net, pod: Server, options: EndpointOptions = {}): object => {
  const { ready, serving, terminating, zones, nodes } = options
  const node = 'nodeName' in options ? options.nodeName : isLocal(pod) ? nodeName : otherNode
  return {
    addresses: [net.at[pod]],
    conditions: { ready, serving, terminating },
    nodeName: node,
    zone: isLocal(pod) ? zone : otherZone,
    targetRef: { kind: 'Pod', name: pod },
    hints: {
      ...(zones === undefined ? {} : { forZones: zones.map((name) => ({ name })) }),
      ...(nodes === undefined ? {} : { forNodes: nodes.map((name) => ({ name })) }),
    },
  }
}

/** What is like neither a ready endpoint nor a gone one. */
export const unready: EndpointOptions = { ready: false, serving: false, terminating: false }
export const leaving: EndpointOptions = { ready: false, serving: true, terminating: true }
export const stopping: EndpointOptions = { ready: false, serving: false, terminating: true }

export interface SliceOptions {
  readonly service?: string
  readonly name?: string
  readonly ports?: readonly object[]
  readonly family?: 'IPv4' | 'IPv6'
}

export const slice = (
  net: Net,
  protocol: Protocol,
  endpoints: readonly object[],
  options: SliceOptions = {},
): Manifest => {
  const owner = options.service ?? defaultName
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      namespace: 'test',
      name: options.name ?? `${owner}-1`,
      labels: { 'kubernetes.io/service-name': owner },
    },
    addressType: options.family ?? net.family,
    ports: options.ports ?? [{ name: '', protocol, port: podPorts[0] }],
    endpoints,
  } as Manifest
}

/** Ready endpoints in one slice. */
export const ready = (net: Net, protocol: Protocol, ...pods: readonly Server[]): Manifest =>
  slice(
    net,
    protocol,
    pods.map((pod) => endpoint(net, pod)),
  )

export interface NodeOptions {
  readonly zone?: string | undefined
  readonly addresses?: readonly string[]
  readonly podCidrs?: readonly string[]
}

/** Our Node with the addresses and pod networks of `families`. */
export const node = (families: readonly Net[], options: NodeOptions = {}): Manifest => {
  const inZone = 'zone' in options ? options.zone : zone
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: nodeName, labels: inZone === undefined ? {} : { 'topology.kubernetes.io/zone': inZone } },
    spec: { podCIDRs: options.podCidrs ?? families.map(({ podCidr }) => podCidr) },
    status: {
      addresses: (options.addresses ?? families.map(({ at }) => at.node)).map((address) => ({
        type: 'InternalIP',
        address,
      })),
    },
  } as Manifest
}

export const serviceCidr = (name: string, ...cidrs: readonly string[]): Manifest =>
  ({ apiVersion: 'networking.k8s.io/v1', kind: 'ServiceCIDR', metadata: { name }, spec: { cidrs } }) as Manifest

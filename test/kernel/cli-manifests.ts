import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Manifest } from '../apiserver/resources.ts'

export interface ServiceShape {
  readonly ip: string
  readonly port?: number
  readonly protocol?: string
  readonly nodePort?: number
  /** Merged over everything else of the spec. */
  readonly spec?: Readonly<Record<string, unknown>>
  readonly annotations?: Readonly<Record<string, string>>
  readonly loadBalancerIP?: string
}

export const service = (name: string, shape: ServiceShape): Manifest => {
  const { ip, port = 80, protocol = 'TCP', nodePort, spec = {}, annotations, loadBalancerIP } = shape
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace: 'default', ...(annotations && { annotations }) },
    spec: {
      type: nodePort === undefined ? 'ClusterIP' : 'NodePort',
      clusterIP: ip,
      clusterIPs: [ip],
      ipFamilies: [ip.includes(':') ? 'IPv6' : 'IPv4'],
      ports: [{ name: 'main', protocol, port, ...(nodePort !== undefined && { nodePort }) }],
      ...spec,
    },
    ...(loadBalancerIP !== undefined && { status: { loadBalancer: { ingress: [{ ip: loadBalancerIP }] } } }),
  }
}

/** One EndpointSlice of a Service, all endpoints ready. An endpoint is an address, or an object of the API. */
export const slice = (
  serviceName: string,
  endpoints: readonly (string | Readonly<Record<string, unknown>>)[],
  { port = 8080, protocol = 'TCP', name = serviceName, addressType = 'IPv4' } = {},
): Manifest => ({
  apiVersion: 'discovery.k8s.io/v1',
  kind: 'EndpointSlice',
  metadata: { name, namespace: 'default', labels: { 'kubernetes.io/service-name': serviceName } },
  addressType,
  ports: [{ name: 'main', protocol, port }],
  endpoints: endpoints.map((endpoint) =>
    typeof endpoint === 'string' ? { addresses: [endpoint], conditions: { ready: true } } : endpoint,
  ),
})

export interface NodeShape {
  readonly addresses?: readonly string[]
  readonly podCIDRs?: readonly string[]
  readonly zone?: string
  readonly taints?: readonly string[]
}

export const node = (name: string, { addresses = [], podCIDRs, zone, taints = [] }: NodeShape = {}): Manifest => ({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name, ...(zone !== undefined && { labels: { 'topology.kubernetes.io/zone': zone } }) },
  spec: {
    ...(podCIDRs !== undefined && { podCIDRs }),
    taints: taints.map((key) => ({ key, effect: 'NoSchedule' })),
  },
  status: { addresses: addresses.map((address) => ({ type: 'InternalIP', address })) },
})

/** Writes a file in one step, as editors and ConfigMaps do. */
export const writeManifests = (folder: string, file: string, manifests: readonly Manifest[]): void => {
  const path = join(folder, file)
  writeFileSync(`${path}.new`, manifests.map((manifest) => `---\n${JSON.stringify(manifest)}\n`).join(''))
  renameSync(`${path}.new`, path)
}

import type { Manifest } from './resources.ts'

/** Small manifests of each kind, in the shape that the API server gives them. `port` and the like tell versions apart. */

export const serviceManifest = (name: string, port: number, namespace = 'default'): Manifest => ({
  metadata: { name, namespace, labels: {} },
  spec: {
    type: 'ClusterIP',
    clusterIP: '10.96.0.10',
    clusterIPs: ['10.96.0.10'],
    ipFamilies: ['IPv4'],
    ports: [{ name: 'web', protocol: 'TCP', port, targetPort: 8080 }],
    sessionAffinity: 'None',
    internalTrafficPolicy: 'Cluster',
  },
  status: { loadBalancer: {} },
})

export const headlessManifest = (name: string, port: number): Manifest => ({
  metadata: { name, namespace: 'default' },
  spec: { type: 'ClusterIP', clusterIP: 'None', clusterIPs: ['None'], ports: [{ protocol: 'TCP', port }] },
})

export const sliceManifest = (name: string, port: number, service = 'web'): Manifest => ({
  metadata: { name, namespace: 'default', labels: { 'kubernetes.io/service-name': service } },
  addressType: 'IPv4',
  ports: [{ name: 'web', protocol: 'TCP', port }],
  endpoints: [{ addresses: ['10.0.0.1'], conditions: { ready: true }, nodeName: 'node-1' }],
})

export const nodeManifest = (name: string, zone: string): Manifest => ({
  metadata: { name, labels: { 'topology.kubernetes.io/zone': zone } },
  spec: { podCIDR: '10.0.0.0/24', podCIDRs: ['10.0.0.0/24'] },
  status: { addresses: [{ type: 'InternalIP', address: '192.0.2.1' }] },
})

export const serviceCidrManifest = (name: string, cidr: string): Manifest => ({
  metadata: { name },
  spec: { cidrs: [cidr] },
})

/** The collections that the fake API server has. */
export const resourceNames = ['services', 'endpointslices', 'nodes', 'servicecidrs'] as const
export type ResourceName = (typeof resourceNames)[number]

export interface ResourceKind {
  readonly path: string
  readonly apiVersion: string
  readonly kind: string
  readonly namespaced: boolean
}

export const resourceKinds: Readonly<Record<ResourceName, ResourceKind>> = {
  services: { path: '/api/v1/services', apiVersion: 'v1', kind: 'Service', namespaced: true },
  endpointslices: {
    path: '/apis/discovery.k8s.io/v1/endpointslices',
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    namespaced: true,
  },
  nodes: { path: '/api/v1/nodes', apiVersion: 'v1', kind: 'Node', namespaced: false },
  servicecidrs: {
    path: '/apis/networking.k8s.io/v1/servicecidrs',
    apiVersion: 'networking.k8s.io/v1',
    kind: 'ServiceCIDR',
    namespaced: false,
  },
}

export const resourceAt = (path: string): ResourceName | undefined =>
  resourceNames.find((name) => resourceKinds[name].path === path)

export interface Metadata {
  readonly name: string
  readonly namespace?: string
  readonly uid?: string
  readonly resourceVersion?: string
  readonly labels?: Readonly<Record<string, string>>
  readonly [field: string]: unknown
}

/** An object as a manifest has it; kind and apiVersion may be left out. */
export interface Manifest {
  readonly metadata: Metadata
  readonly [field: string]: unknown
}

/** An object as the server keeps it. */
export interface StoredObject extends Manifest {
  readonly metadata: Metadata & { readonly uid: string; readonly resourceVersion: string }
}

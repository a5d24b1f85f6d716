import { Random } from './random.ts'

/** Where the synthetic cluster has its addresses. All of it is IPv4. */
export const clusterCidr = '10.128.0.0/9'
/** Pods get theirs from the lower half of {@link clusterCidr}; the upper half is left for a client that is a pod. */
export const podRange = '10.128.0.0/10'
export const clientPod = '10.192.0.2'
export const serviceRange = '172.16.0.0/12'

/** Our node, which runs its share of the pods. */
export const ownNode = 'node-0'
export const ownNodeIP = '192.0.2.10'

const nodes = 200
const podsPerNode = 4096
const zones = ['zone-a', 'zone-b', 'zone-c'] as const

const dotted = (address: number): string =>
  [address >>> 24, (address >>> 16) & 0xff, (address >>> 8) & 0xff, address & 0xff].join('.')

const podBase = ((10 << 24) | (128 << 16)) >>> 0
const serviceBase = ((172 << 24) | (16 << 16)) >>> 0
/** 172.16.0.0/12 */
const serviceAddresses = 2 ** 20

/** How many pods have addresses of their own. */
export const podCapacity = nodes * (podsPerNode - 1)

export interface PodPlace {
  readonly ip: string
  readonly node: string
  readonly zone: string
}

/** Pods go round the nodes; every node has a block of addresses. Numbers beyond the capacity start over. */
export const podPlace = (pod: number): PodPlace => {
  const node = pod % nodes
  const index = 1 + (Math.floor(pod / nodes) % (podsPerNode - 1))
  const zone = zones[node % zones.length] ?? zones[0]
  return { ip: dotted(podBase + node * podsPerNode + index), node: `node-${node}`, zone }
}

/**
 * Addresses all over the range of ClusterIPs, as an API server hands them out: `sorted` in ascending order, then `more`
 * as they come. Consecutive ones would make a tree of addresses look better or worse than it is.
 */
export const scatteredClusterIPs = (
  seed: number,
  count: number,
  more = 0,
): { readonly sorted: readonly string[]; readonly more: readonly string[] } => {
  const random = new Random(seed)
  const numbers = new Set<number>()
  while (numbers.size < count + more) numbers.add(serviceBase + random.below(serviceAddresses))
  const drawn = [...numbers]
  const sorted = drawn.slice(0, count).sort((a, b) => a - b)
  return { sorted: sorted.map(dotted), more: drawn.slice(count).map(dotted) }
}

/** The ClusterIP of the service with this number. */
export const clusterIP = (service: number): string => dotted(serviceBase + 10 + service)

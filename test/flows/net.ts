import type { Family } from '../../src/model/ip.ts'

/** The hosts of the {@link Stage}: a node, pods on it and elsewhere, clients, and whoever is behind the node's gateway. */
export const podNames = ['pod-1', 'pod-2', 'remote-1', 'remote-2'] as const
export type PodName = (typeof podNames)[number]
/** What can be an endpoint: a pod, or a pod in the node's own network. */
export type Server = PodName | 'node'
export const placeNames = [...podNames, 'client', 'client-2', 'elsewhere'] as const
/** Where a packet can start. `elsewhere` answers on every address that no Service has; see {@link Net.elsewhere}. */
export type Place = (typeof placeNames)[number] | 'node'

/** The names that manifests give to our node, its zone, and the others. */
export const nodeName = 'node-a'
export const otherNode = 'node-b'
export const zone = 'zone-a'
export const otherZone = 'zone-b'

/** Every pod serves TCP, UDP and SCTP on the first of these; TCP and UDP on the others. */
export const podPorts = [8080, 8081, 8082, 8083, 8084] as const
/** The node itself has a server on this port, so that a NodePort which is not ours to take is answered by `node`. */
export const nodePort = 30080
/** `elsewhere` has a server on it, at every address outside. */
export const port = 80
/** So it has on this one, which no Service ever asks for. */
export const freePort = 90

/** The addresses of one family. Functions give the n-th address of a kind, n from 1 to 99. */
export interface Net {
  readonly family: Family
  readonly at: Readonly<Record<Place, string>>
  /** The node's second address; it is never chosen as a source unasked. */
  readonly nodeSecond: string
  readonly loopback: string
  readonly podCidr: string
  readonly clusterCidr: string
  readonly serviceCidr: string
  readonly clusterIP: (n: number) => string
  readonly externalIP: (n: number) => string
  readonly vip: (n: number) => string
  /** Further addresses of `client`, to be many clients at once. */
  readonly crowd: (n: number) => string
  readonly crowdCidr: string
  /** Networks of which `elsewhere` answers every address: nothing but our rules keeps a packet from it. */
  readonly elsewhere: readonly string[]
  /** A network that holds `client` and not `client-2`, and one that holds neither. */
  readonly aroundClient: string
  readonly unrelated: string
  /** All of the family. */
  readonly everything: string
  readonly bits: 32 | 128
}

export const ipv4: Net = {
  family: 'IPv4',
  at: {
    node: '192.0.2.10',
    'pod-1': '10.244.0.1',
    'pod-2': '10.244.0.2',
    'remote-1': '10.244.1.1',
    'remote-2': '10.244.1.2',
    client: '198.51.100.7',
    'client-2': '198.51.100.9',
    elsewhere: '203.0.113.254',
  },
  nodeSecond: '192.0.2.11',
  loopback: '127.0.0.1',
  podCidr: '10.244.0.0/24',
  clusterCidr: '10.244.0.0/16',
  serviceCidr: '10.96.0.0/16',
  clusterIP: (n) => `10.96.0.${n}`,
  externalIP: (n) => `203.0.113.${n}`,
  vip: (n) => `203.0.113.${100 + n}`,
  crowd: (n) => `198.51.101.${n}`,
  crowdCidr: '198.51.101.0/24',
  elsewhere: ['10.96.0.0/16', '203.0.113.0/24'],
  aroundClient: '198.51.100.0/29',
  unrelated: '100.64.0.0/10',
  everything: '0.0.0.0/0',
  bits: 32,
}

const hex = (n: number): string => n.toString(16)

export const ipv6: Net = {
  family: 'IPv6',
  at: {
    node: '2001:db8::10',
    'pod-1': '2001:db8:2::1',
    'pod-2': '2001:db8:2::2',
    'remote-1': '2001:db8:2:1::1',
    'remote-2': '2001:db8:2:1::2',
    client: '2001:db8:1::7',
    'client-2': '2001:db8:1::9',
    elsewhere: '2001:db8:3::fffe',
  },
  nodeSecond: '2001:db8::11',
  loopback: '::1',
  podCidr: '2001:db8:2::/64',
  clusterCidr: '2001:db8:2::/56',
  serviceCidr: '2001:db8:9::/112',
  clusterIP: (n) => `2001:db8:9::${hex(n)}`,
  externalIP: (n) => `2001:db8:3::${hex(n)}`,
  vip: (n) => `2001:db8:3::1:${hex(n)}`,
  crowd: (n) => `2001:db8:1:1::${hex(n)}`,
  crowdCidr: '2001:db8:1:1::/112',
  elsewhere: ['2001:db8:9::/112', '2001:db8:3::/64'],
  aroundClient: '2001:db8:1::/125',
  unrelated: '2001:db8:f000::/36',
  everything: '::/0',
  bits: 128,
}

export const nets = [ipv4, ipv6] as const

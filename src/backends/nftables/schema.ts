import type { Family } from '../../model/ip.ts'

/** Our table in each family. Nothing outside it is ever written. */
export const tableName = 'weir'

export type NftFamily = 'ip' | 'ip6'
export const nftFamily = (family: Family): NftFamily => (family === 'IPv4' ? 'ip' : 'ip6')

/** One component of a set's key or of a map's value. */
export type Field =
  | 'address'
  | 'protocol'
  | 'port'
  /** Which of an address's endpoints: the number that a scheduler picks. A host-order u32. */
  | 'slot'
  /** A whole network, held as an interval. */
  | 'network'
  /** One end of an interval: the first address inside (`begin`) or the first one after (`end`). */
  | 'boundary'

export interface SetSchema {
  readonly key: readonly Field[]
  /** What a map gives; 'none' makes it a set. */
  readonly value: readonly Field[] | 'verdict' | 'none'
  readonly comment: string
  /** Filled by packets, not by us. */
  readonly dynamic?: true
}

/** How many clients of services with session affinity one node remembers, per family. */
export const affinityCapacity = 1_048_576

/**
 * Every set and map of the table. This one description gives the declarations, the bytes on the wire, the decoding of
 * dumps and the text of `weir render`.
 */
export const schemas = {
  'cluster-ips': { key: ['address'], value: 'none', comment: 'cluster IPs of all services' },
  services: {
    key: ['address', 'protocol', 'port'],
    value: 'verdict',
    comment: 'virtual servers: how each picks its endpoint',
  },
  endpoints: {
    key: ['address', 'protocol', 'port', 'slot'],
    value: ['address', 'port'],
    comment: 'real servers, by virtual server and slot',
  },
  nodeports: { key: ['protocol', 'port'], value: 'verdict', comment: 'node ports: how each picks its endpoint' },
  'nodeport-endpoints': {
    key: ['protocol', 'port', 'slot'],
    value: ['address', 'port'],
    comment: 'real servers, by node port and slot',
  },
  'nodeport-ips': { key: ['address'], value: 'none', comment: 'addresses that take node port traffic' },
  'no-endpoint-services': {
    key: ['address', 'protocol', 'port'],
    value: 'verdict',
    comment: 'virtual servers without usable endpoints',
  },
  'no-endpoint-nodeports': {
    key: ['protocol', 'port'],
    value: 'verdict',
    comment: 'node ports without usable endpoints',
  },
  'guarded-services': {
    key: ['address', 'protocol', 'port'],
    value: 'none',
    comment: 'load balancer addresses with source ranges',
  },
  'allowed-sources': {
    key: ['address', 'protocol', 'port', 'network'],
    value: 'none',
    comment: 'who may use a guarded address',
  },
  'hairpin-connections': {
    key: ['address', 'address', 'protocol', 'port'],
    value: 'none',
    comment: 'local endpoints that reach themselves',
  },
  'service-cidrs': { key: ['boundary'], value: 'none', comment: 'where cluster IPs are allocated from' },
  affinity: {
    key: ['address', 'address', 'protocol', 'port'],
    value: ['address', 'port'],
    comment: 'client . virtual server : the endpoint it keeps',
    dynamic: true,
  },
  'sticky-services': {
    key: ['address', 'protocol', 'port'],
    value: 'verdict',
    comment: 'virtual servers with session affinity: for how long',
  },
  'sticky-nodeports': {
    key: ['protocol', 'port'],
    value: 'verdict',
    comment: 'node ports with session affinity: for how long',
  },
} as const satisfies Record<string, SetSchema>

export type SetName = keyof typeof schemas
export const setNames = Object.keys(schemas) as readonly SetName[]
export const schemaOf = (set: SetName): SetSchema => schemas[set]

/** Sets whose elements are ours to write: all but the dynamic ones. */
export const writtenSets: readonly SetName[] = setNames.filter((set) => schemaOf(set).dynamic !== true)

/** Sets with `flags interval`. */
export const isInterval = (set: SetName): boolean =>
  schemaOf(set).key.some((field) => field === 'network' || field === 'boundary')

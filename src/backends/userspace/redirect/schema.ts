import type { Family } from '../../../model/ip.ts'

/** One table per family. Not `weir`, the table of mode nftables: either mode removes what the other has left. */
export const userspaceTable = 'weir-userspace'

export const tableFamily = (family: Family): 'ip' | 'ip6' => (family === 'IPv4' ? 'ip' : 'ip6')

type Field = 'address' | 'protocol' | 'port' | 'source'

interface SetSchema {
  readonly key: readonly Field[]
  /** `socket`: address and port of a listener. */
  readonly value: 'socket' | 'verdict' | 'none'
  readonly interval?: true
  readonly comment: string
}

const server = ['address', 'protocol', 'port'] as const
const onNode = ['protocol', 'port'] as const

/** Every set and map of the table, in the order in which they are declared. */
export const schema = {
  services: { key: server, value: 'socket', comment: 'virtual addresses, and the sockets that serve them' },
  nodeports: { key: onNode, value: 'socket', comment: 'NodePorts' },
  'outside-services': { key: server, value: 'socket', comment: 'the same for other clients than pods and the node' },
  'outside-nodeports': { key: onNode, value: 'socket', comment: 'the same for other clients than pods and the node' },
  'refused-services': { key: server, value: 'verdict', comment: 'without endpoints' },
  'refused-nodeports': { key: onNode, value: 'verdict', comment: 'without endpoints' },
  'outside-refused-services': {
    key: server,
    value: 'verdict',
    comment: 'externalTrafficPolicy Local, no endpoint here',
  },
  'outside-refused-nodeports': {
    key: onNode,
    value: 'verdict',
    comment: 'externalTrafficPolicy Local, no endpoint here',
  },
  'guarded-services': { key: server, value: 'none', comment: 'with loadBalancerSourceRanges' },
  'allowed-sources': {
    key: [...server, 'source'],
    value: 'none',
    interval: true,
    comment: 'loadBalancerSourceRanges',
  },
  'own-endpoints': { key: server, value: 'none', comment: 'endpoints that are addresses of this node' },
  listeners: { key: server, value: 'none', comment: 'our sockets: nobody gets there untranslated' },
  'nodeport-ips': { key: ['address'], value: 'none', comment: 'node addresses that accept NodePorts' },
} as const satisfies Readonly<Record<string, SetSchema>>

export type SetName = keyof typeof schema
export const setNames = Object.keys(schema) as readonly SetName[]
export const schemaOf = (set: SetName): SetSchema => schema[set]

const typeWord = (field: Field, family: Family): string => {
  if (field === 'protocol') return 'inet_proto'
  if (field === 'port') return 'inet_service'
  return family === 'IPv4' ? 'ipv4_addr' : 'ipv6_addr'
}

/** The lines of a set's block, as `nft list` prints them, without its elements. */
export const setClauses = (set: SetName, family: Family): readonly string[] => {
  const { key, value, interval, comment } = schemaOf(set)
  const words = (fields: readonly Field[]): string => fields.map((field) => typeWord(field, family)).join(' . ')
  const data = { none: '', verdict: ' : verdict', socket: ` : ${words(['address', 'port'])}` }
  return [`type ${words(key)}${data[value]}`, ...(interval === true ? ['flags interval'] : []), `comment "${comment}"`]
}

export const setKind = (set: SetName): 'set' | 'map' => (schemaOf(set).value === 'none' ? 'set' : 'map')

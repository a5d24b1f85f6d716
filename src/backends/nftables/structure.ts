import { createHash } from 'node:crypto'
import { assertNever } from '../../model/assert-never.ts'
import { type Cidr, cidrAddress, cidrBits, cidrFamily, maxBits } from '../../model/cidr.ts'
import type { HostState, LocalDetector } from '../../model/host.ts'
import type { Family } from '../../model/ip.ts'
import { recorderName } from './class.ts'
import {
  affinityCapacity,
  type Field,
  isInterval,
  nftFamily,
  type SetName,
  schemaOf,
  setNames,
  tableName,
} from './schema.ts'

/**
 * The chain that refuses; also the target of no-endpoint elements. To conntrack the first packet that it sees of an
 * established TCP connection is new, too, and of those only a reset ends the connection: an ICMP error does not (RFC 5461).
 */
export const rejectChain = 'reject-chain'
const rejectRules = ['tcp flags != syn / syn,ack reject with tcp reset', 'reject']

export interface BaseHook {
  readonly type: 'filter' | 'nat'
  readonly hook: 'prerouting' | 'input' | 'forward' | 'output' | 'postrouting'
  readonly priority: number
}

export interface FixedChain {
  readonly name: string
  readonly base: BaseHook | undefined
  readonly rules: readonly string[]
  /** Its rules are a class's: this text only makes sure that the chain is there. */
  readonly elsewhere?: true
}

/** The words for addresses in this family's rules. */
export const addressWord = (family: Family): 'ip' | 'ip6' => nftFamily(family)

export const markText = (mark: number): string => `0x${mark.toString(16).padStart(8, '0')}`

/** A network of one address as nft lists it. */
const networkText = (cidr: Cidr): string => (cidrBits(cidr) === maxBits(cidrFamily(cidr)) ? cidrAddress(cidr) : cidr)

/** Matches packets of local pods; `sense` '!= ' turns it round. Undefined when pods cannot be told. */
export const podMatch = (detector: LocalDetector, family: Family, sense: '' | '!= ' = ''): string | undefined => {
  switch (detector.kind) {
    case 'none':
      return undefined
    case 'cidr':
      return `${addressWord(family)} saddr ${sense}${networkText(detector.cidr)}`
    case 'interface':
      return `iifname ${sense}"${detector.name}"`
    case 'interfacePrefix':
      return `iifname ${sense}"${detector.prefix}*"`
    default:
      return assertNever(detector, 'detector')
  }
}

/**
 * The part of the table that no Service changes. Hooks and priorities are kube-proxy's: source ranges are checked before
 * DNAT (a packet's destination is still the virtual server's), refusals come after it in filter hooks (`reject` is legal
 * only there on old kernels), and what was translated needs no further look but for session affinity.
 */
export const fixedChains = (host: HostState): readonly FixedChain[] => {
  const { family, nodePortAddresses: accepting } = host
  const ip = addressWord(family)
  const loopback = family === 'IPv4' ? '127.0.0.0/8' : '::1'
  const server = `${ip} daddr . meta l4proto . th dport`
  const nodePort = 'meta l4proto . th dport'
  const toNode =
    accepting.kind === 'all'
      ? { nat: `fib daddr type local ${ip} daddr != ${loopback}`, filter: `${ip} daddr != ${loopback}` }
      : { nat: `${ip} daddr @nodeport-ips`, filter: `${ip} daddr @nodeport-ips` }
  const isNew = 'ct state new'
  // Only by the packet that makes the entry of conntrack. Later ones, which are new, too, until one is answered, follow the
  // entry, and would bring back an endpoint that has been forgotten.
  const remember = `${isNew} ct status dnat / confirmed,dnat jump ${recorderName}`
  const refusals = [`${isNew} jump service-endpoints-check`, `${isNew} jump cluster-ips-check`]
  const base = (
    name: string,
    type: BaseHook['type'],
    hook: BaseHook['hook'],
    priority: number,
    rules: readonly string[],
  ) => ({ name, base: { type, hook, priority }, rules }) satisfies FixedChain
  const regular = (name: string, ...rules: readonly string[]): FixedChain => ({ name, base: undefined, rules })
  return [
    base('filter-prerouting-pre-dnat', 'filter', 'prerouting', -110, [`${isNew} jump firewall-check`]),
    base('filter-output-pre-dnat', 'filter', 'output', -110, [`${isNew} jump firewall-check`]),
    base('nat-prerouting', 'nat', 'prerouting', -100, ['jump services']),
    base('nat-output', 'nat', 'output', -100, ['jump services']),
    base('filter-prerouting-post-dnat', 'filter', 'prerouting', -90, [remember]),
    base('filter-output-post-dnat', 'filter', 'output', -90, [remember]),
    base('filter-input', 'filter', 'input', 0, [
      `${isNew} jump nodeport-endpoints-check`,
      `${isNew} jump service-endpoints-check`,
    ]),
    base('filter-forward', 'filter', 'forward', 0, refusals),
    base('filter-output', 'filter', 'output', 0, refusals),
    base('nat-postrouting', 'nat', 'postrouting', 100, ['jump masquerading']),
    regular(
      'services',
      ...masqueradeClusterIPs(host),
      `${server} vmap @services`,
      `${toNode.nat} ${nodePort} vmap @nodeports`,
    ),
    regular('firewall-check', `${server} @guarded-services ${server} . ${ip} saddr != @allowed-sources drop`),
    regular('service-endpoints-check', `${server} vmap @no-endpoint-services`),
    regular('nodeport-endpoints-check', `${toNode.filter} ${nodePort} vmap @no-endpoint-nodeports`),
    regular('cluster-ips-check', `${ip} daddr @cluster-ips reject`, `${ip} daddr @service-cidrs drop`),
    regular(rejectChain, ...rejectRules),
    { ...regular(recorderName), elsewhere: true },
    regular(
      'masquerading',
      `meta mark & ${markText(host.masqueradeMark)} != 0 meta mark set meta mark ^ ${markText(host.masqueradeMark)} masquerade fully-random`,
      `ct status dnat ${ip} saddr . ${ip} daddr . meta l4proto . th dport @hairpin-connections masquerade fully-random`,
    ),
  ]
}

const masqueradeClusterIPs = (host: HostState): readonly string[] => {
  const match = host.masqueradeAll ? '' : podMatch(host.detector, host.family, '!= ')
  if (match === undefined) return []
  return [`${match} ${addressWord(host.family)} daddr @cluster-ips ${setMark(host)}`.trimStart()]
}

export const setMark = ({ masqueradeMark }: HostState): string =>
  `meta mark set meta mark | ${markText(masqueradeMark)}`

const typeWords = (fields: readonly Field[], family: Family): string =>
  fields.map((field) => typeWord(field, family)).join(' . ')

const typeWord = (field: Field, family: Family): string => {
  switch (field) {
    case 'address':
    case 'network':
    case 'boundary':
      return family === 'IPv4' ? 'ipv4_addr' : 'ipv6_addr'
    case 'protocol':
      return 'inet_proto'
    case 'port':
      return 'inet_service'
    case 'slot':
      return 'integer'
    default:
      return assertNever(field, 'field')
  }
}

/** `typeof` is needed where a slot takes part: an integer has no width of its own. */
const typeClause = (set: SetName, family: Family): string => {
  const { key, value } = schemaOf(set)
  const ip = addressWord(family)
  if (key.includes('slot')) {
    const words = {
      address: `${ip} daddr`,
      protocol: 'meta l4proto',
      port: 'th dport',
      slot: 'numgen random mod 65536',
    }
    const typeOf = key.map((field) => (field === 'network' || field === 'boundary' ? '' : words[field])).join(' . ')
    return `typeof ${typeOf} : ${ip} daddr . th dport`
  }
  const keys = typeWords(key, family)
  if (value === 'none') return `type ${keys}`
  return `type ${keys} : ${value === 'verdict' ? 'verdict' : typeWords(value, family)}`
}

/** `set` or `map`, and the block that declares it. */
export const setDeclaration = (
  set: SetName,
  family: Family,
): { readonly kind: 'set' | 'map'; readonly body: string } => {
  const schema = schemaOf(set)
  const clauses = [typeClause(set, family)]
  if (schema.dynamic === true) clauses.push(`size ${affinityCapacity}`, 'flags dynamic,timeout')
  if (isInterval(set)) clauses.push('flags interval')
  clauses.push(`comment "${schema.comment}"`)
  return { kind: schema.value === 'none' ? 'set' : 'map', body: clauses.map((clause) => `${clause};`).join(' ') }
}

export const hookText = ({ type, hook, priority }: BaseHook): string =>
  `type ${type} hook ${hook} priority ${priority}; policy accept;`

/**
 * An empty chain whose name tells which structure the table has: {@link structureScript} of the same host is a no-op
 * then, and class chains need not be written again either, so what their rules take from the host is part of it. The
 * batch that follows the script makes it: as long as it is missing, one of the two has not been written.
 */
export const layoutMarker = (host: HostState): string => {
  const declarations = setNames.map((set) => setDeclaration(set, host.family).body)
  const inClassChains = [podMatch(host.detector, host.family), setMark(host)]
  const text = JSON.stringify([declarations, fixedChains(host), inClassChains])
  return `layout-${createHash('sha256').update(text).digest('hex').slice(0, 12)}`
}
export const isLayoutMarker = (chain: string): boolean => chain.startsWith('layout-')

/**
 * One transaction of `nft -f` that brings the structure of the table to that of `host`, whatever it was, without touching
 * elements or the chains that elements point to. Packets see the old rules or the new ones, nothing between.
 */
export const structureScript = (host: HostState, staleMarkers: readonly string[]): string => {
  const table = `${nftFamily(host.family)} ${tableName}`
  const chains = fixedChains(host)
  const lines = [`add table ${table} { comment "weir: services of this node"; }`]
  for (const set of setNames) {
    const { kind, body } = setDeclaration(set, host.family)
    lines.push(`add ${kind} ${table} ${set} { ${body} }`)
  }
  for (const { name, base, elsewhere } of chains) {
    lines.push(base === undefined ? `add chain ${table} ${name}` : `add chain ${table} ${name} { ${hookText(base)} }`)
    if (elsewhere !== true) lines.push(`flush chain ${table} ${name}`)
  }
  for (const { name, rules } of chains) for (const rule of rules) lines.push(`add rule ${table} ${name} ${rule}`)
  for (const marker of staleMarkers) lines.push(`delete chain ${table} ${marker}`)
  return `${lines.join('\n')}\n`
}

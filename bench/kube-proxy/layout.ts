/**
 * The table that kube-proxy 1.36 keeps in nftables mode, for comparison: a chain for each Service port, whose one rule
 * has the endpoints in an anonymous map of its own. Names, order and grammar are kube-proxy's (pkg/proxy/nftables), as
 * far as a synthetic cluster needs them: IPv4, no affinity, no source ranges.
 */
import { createHash } from 'node:crypto'
import { clusterCidr, ownNode, ownNodeIP, serviceRange } from '../cluster/addresses.ts'
import type { SyntheticService } from '../cluster/cluster.ts'
import { type Member, targetPort } from '../cluster/manifests.ts'

const table = 'ip kube-proxy'
const mark = '0x4000'
const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'

/** The first eight characters of the RFC 4648 base 32 of the SHA-256 of a name. */
export const nameHash = (name: string): string => {
  const bytes = createHash('sha256').update(name).digest()
  let text = ''
  for (let i = 0; i < 8; i++) {
    const bit = i * 5
    const word = ((bytes[bit >> 3] ?? 0) << 8) | (bytes[(bit >> 3) + 1] ?? 0)
    text += alphabet[(word >> (11 - (bit & 7))) & 0x1f]
  }
  return text
}

const portName = ({ namespace, name }: SyntheticService): string => `${namespace}/${name}/tcp/http`
const chainName = (kind: 'service' | 'external', service: SyntheticService): string =>
  `${kind}-${nameHash(portName(service))}-${portName(service)}`

const baseChains = [
  ['filter-prerouting-pre-dnat', 'filter hook prerouting priority -110'],
  ['filter-output-pre-dnat', 'filter hook output priority -110'],
  ['filter-input', 'filter hook input priority 0'],
  ['filter-forward', 'filter hook forward priority 0'],
  ['filter-output', 'filter hook output priority 0'],
  ['nat-prerouting', 'nat hook prerouting priority -100'],
  ['nat-output', 'nat hook output priority -100'],
  ['nat-postrouting', 'nat hook postrouting priority 100'],
] as const

const regularChains = [
  'services',
  'firewall-check',
  'service-endpoints-check',
  'nodeport-endpoints-check',
  'cluster-ips-check',
  'reject-chain',
  'masquerading',
] as const

const frontend = 'ip daddr . meta l4proto . th dport'
const nodePort = 'ip daddr @nodeport-ips meta l4proto . th dport'

const sets: readonly string[] = [
  'set ip kube-proxy cluster-ips { type ipv4_addr; }',
  'set ip kube-proxy nodeport-ips { type ipv4_addr; }',
  'set ip kube-proxy hairpin-connections { type ipv4_addr . ipv4_addr . inet_proto . inet_service; }',
  'map ip kube-proxy service-ips { type ipv4_addr . inet_proto . inet_service : verdict; }',
  'map ip kube-proxy service-nodeports { type inet_proto . inet_service : verdict; }',
  'map ip kube-proxy firewall-ips { type ipv4_addr . inet_proto . inet_service : verdict; }',
  'map ip kube-proxy no-endpoint-services { type ipv4_addr . inet_proto . inet_service : verdict; }',
  'map ip kube-proxy no-endpoint-nodeports { type inet_proto . inet_service : verdict; }',
]

const rules: readonly (readonly [chain: string, rule: string])[] = [
  ['filter-prerouting-pre-dnat', 'ct state new jump firewall-check'],
  ['filter-output-pre-dnat', 'ct state new jump firewall-check'],
  ['filter-input', 'ct state new jump nodeport-endpoints-check'],
  ['filter-input', 'ct state new jump service-endpoints-check'],
  ['filter-forward', 'ct state new jump service-endpoints-check'],
  ['filter-forward', 'ct state new jump cluster-ips-check'],
  ['filter-output', 'ct state new jump service-endpoints-check'],
  ['filter-output', 'ct state new jump cluster-ips-check'],
  ['nat-prerouting', 'jump services'],
  ['nat-output', 'jump services'],
  ['nat-postrouting', 'jump masquerading'],
  ['reject-chain', 'reject'],
  ['cluster-ips-check', 'ip daddr @cluster-ips reject'],
  ['cluster-ips-check', `ip daddr { ${serviceRange} } drop`],
  ['firewall-check', `${frontend} vmap @firewall-ips`],
  ['service-endpoints-check', `${frontend} vmap @no-endpoint-services`],
  ['nodeport-endpoints-check', `${nodePort} vmap @no-endpoint-nodeports`],
  ['services', `ip daddr @cluster-ips ip saddr != ${clusterCidr} mark set mark or ${mark}`],
  ['services', `${frontend} vmap @service-ips`],
  ['services', `${nodePort} vmap @service-nodeports`],
  ['masquerading', `mark and ${mark} != 0 mark set mark xor ${mark} masquerade fully-random`],
  [
    'masquerading',
    'ct status dnat ip saddr . ip daddr . meta l4proto . th dport @hairpin-connections masquerade fully-random',
  ],
]

/** The whole table, as one transaction for `nft -f`. */
export const kubeProxyTable = (services: Iterable<SyntheticService>): string => {
  const lines = [`add table ${table} { comment "rules for kube-proxy"; }`]
  for (const [name, hook] of baseChains) lines.push(`add chain ${table} ${name} { type ${hook}; }`)
  for (const name of regularChains) lines.push(`add chain ${table} ${name}`)
  for (const set of sets) lines.push(`add ${set}`)
  for (const [chain, rule] of rules) lines.push(`add rule ${table} ${chain} ${rule}`)
  lines.push(`add element ${table} nodeport-ips { ${ownNodeIP} }`)
  for (const service of services) lines.push(...serviceLines(service))
  return `${lines.join('\n')}\n`
}

const serviceLines = (service: SyntheticService): readonly string[] => {
  const { clusterIP, port, nodePort: external, members } = service
  const chain = chainName('service', service)
  const lines = [
    `add chain ${table} ${chain}`,
    pickRule(service, members),
    `add element ${table} cluster-ips { ${clusterIP} }`,
    `add element ${table} service-ips { ${clusterIP} . tcp . ${port} : goto ${chain} }`,
  ]
  for (const { ip, node } of members) {
    if (node === ownNode) lines.push(`add element ${table} hairpin-connections { ${ip} . ${ip} . tcp . ${targetPort} }`)
  }
  if (external === undefined) return lines
  const outer = chainName('external', service)
  return [
    ...lines,
    `add chain ${table} ${outer}`,
    `add rule ${table} ${outer} mark set mark or ${mark}`,
    `add rule ${table} ${outer} goto ${chain}`,
    `add element ${table} service-nodeports { tcp . ${external} : goto ${outer} }`,
  ]
}

const pickRule = (service: SyntheticService, members: readonly Member[]): string => {
  const slots = members.map(({ ip }, i) => `${i} : ${ip} . ${targetPort}`)
  const pick = `numgen random mod ${members.length} map { ${slots.join(' , ')} }`
  return `add rule ${table} ${chainName('service', service)} meta l4proto tcp dnat ip addr . port to ${pick}`
}

/** What a change of one Service's endpoints takes: its chain is written anew. */
export const kubeProxyChange = (service: SyntheticService, members: readonly Member[]): string => {
  const chain = chainName('service', service)
  return `add chain ${table} ${chain}\nflush chain ${table} ${chain}\n${pickRule(service, members)}\n`
}

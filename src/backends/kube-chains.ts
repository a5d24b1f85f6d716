import { type RuleText, ruleTarget, ruleWords } from '../kernel/iptables/rule-text.ts'
import type { TableName } from '../kernel/iptables/table-name.ts'

type ChainNames = Readonly<Record<TableName, ReadonlySet<string>>>

/** kube-proxy's fixed chains that iptables mode has, by table. Most of them IPVS mode has, too. */
const fixedChains: ChainNames = {
  raw: new Set(),
  mangle: new Set(['KUBE-PROXY-CANARY']),
  nat: new Set(['KUBE-SERVICES', 'KUBE-NODEPORTS', 'KUBE-POSTROUTING', 'KUBE-MARK-MASQ', 'KUBE-PROXY-CANARY']),
  filter: new Set([
    'KUBE-SERVICES',
    'KUBE-EXTERNAL-SERVICES',
    'KUBE-NODEPORTS',
    'KUBE-FORWARD',
    'KUBE-PROXY-FIREWALL',
    'KUBE-PROXY-CANARY',
  ]),
  security: new Set(),
}

/** Those that only IPVS mode has. */
const ipvsChains: ChainNames = {
  raw: new Set(),
  mangle: new Set(),
  nat: new Set(['KUBE-NODE-PORT', 'KUBE-LOAD-BALANCER']),
  filter: new Set(['KUBE-NODE-PORT', 'KUBE-SOURCE-RANGES-FIREWALL', 'KUBE-IPVS-FILTER', 'KUBE-IPVS-OUT-FILTER']),
  security: new Set(),
}

/** Of a service port or an endpoint: 16 Base32 characters of a SHA-256. */
export const serviceChain = /^KUBE-(?:SVC|SVL|EXT|FW|SEP|XLB)-[A-Z2-7]{16}$/
/** What EXT was called before Kubernetes 1.24. */
const formerServiceChain = /^KUBE-XLB-[A-Z2-7]{16}$/

/** What of {@link fixedChains} IPVS mode does not have. */
const iptablesChains: ChainNames = {
  raw: new Set(),
  mangle: new Set(['KUBE-PROXY-CANARY']),
  nat: new Set(['KUBE-NODEPORTS', 'KUBE-PROXY-CANARY']),
  filter: new Set(['KUBE-SERVICES', 'KUBE-EXTERNAL-SERVICES', 'KUBE-NODEPORTS', 'KUBE-PROXY-CANARY']),
  security: new Set(),
}

/**
 * A chain of kube-proxy in iptables or IPVS mode. Kubelet's are not among them: KUBE-FIREWALL, KUBE-MARK-DROP,
 * KUBE-KUBELET-CANARY, KUBE-IPTABLES-HINT.
 */
export const isKubeProxyChain = (table: TableName, chain: string): boolean =>
  fixedChains[table].has(chain) || ipvsChains[table].has(chain) || (table === 'nat' && serviceChain.test(chain))

/** What names of chains that only weir has begin with, in any table. */
export const weirChainPrefix = 'WEIR-'

const weirTables: ReadonlySet<TableName> = new Set(['mangle', 'nat', 'filter'])

/** A chain that only weir has, in mode iptables or ipvs. */
export const isWeirChain = (table: TableName, chain: string): boolean =>
  weirTables.has(table) && chain.startsWith(weirChainPrefix)

/** The modes that have chains in iptables: kube-proxy's, and weir's of the same names. */
export type ChainMode = 'iptables' | 'ipvs'

/** A chain that `mode` never makes: of the other one, or of an early release. In table mangle only mode ipvs has chains of weir. */
export const isOfAnotherMode = (mode: ChainMode, table: TableName, chain: string): boolean => {
  if (isWeirChain(table, chain)) return (table === 'mangle') === (mode === 'iptables')
  if (mode === 'iptables') return ipvsChains[table].has(chain) || (table === 'nat' && formerServiceChain.test(chain))
  return iptablesChains[table].has(chain) || (table === 'nat' && serviceChain.test(chain))
}

const builtInChains: ReadonlySet<string> = new Set(['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING'])

/** Whether a change of this chain by others may touch what iptables mode needs: its chains, and the jumps to them. */
export const concernsUs = (chain: string): boolean =>
  builtInChains.has(chain) || chain.startsWith('KUBE-') || chain.startsWith(weirChainPrefix)

/** Kubelet's chain in table filter, of which kube-proxy in iptables mode keeps a copy under the same name. */
export const sharedFirewallChain = 'KUBE-FIREWALL'
/** Kubelet shows by them, in table mangle, which variant it uses (KEP-3178). */
export const kubeletChains = ['KUBE-KUBELET-CANARY', 'KUBE-IPTABLES-HINT'] as const

/** The only rule that kube-proxy puts into {@link sharedFirewallChain} (CVE-2020-8558). */
export const isSharedFirewallRule = (rule: RuleText): boolean =>
  commentOf(rule) === 'block incoming localnet connections' && ruleTarget(rule)?.name === 'DROP'

/** The chains that are hooked into built-in ones. Whoever jumps to another from outside is neither kube-proxy nor weir. */
const entryChains: ReadonlySet<string> = new Set([
  'KUBE-SERVICES',
  'KUBE-EXTERNAL-SERVICES',
  'KUBE-NODEPORTS',
  'KUBE-FORWARD',
  'KUBE-PROXY-FIREWALL',
  'KUBE-POSTROUTING',
  'KUBE-NODE-PORT',
  'KUBE-IPVS-FILTER',
  'KUBE-IPVS-OUT-FILTER',
  sharedFirewallChain,
])

export const isEntryChain = (chain: string): boolean => entryChains.has(chain) || chain.startsWith(weirChainPrefix)

/** Both modes have this chain, and jump to it with comments of their own. */
const firewallChain = 'KUBE-PROXY-FIREWALL'
const firewallComments = {
  iptables: 'kubernetes load balancer firewall',
  ipvs: 'kube-proxy firewall rules',
} as const satisfies Record<ChainMode, string>

const jumpComments: ReadonlySet<string> = new Set([
  'kubernetes service portals',
  'kubernetes externally-visible service portals',
  'kubernetes health check service ports',
  'kubernetes forwarding rules',
  ...Object.values(firewallComments),
  'kubernetes postrouting rules',
  'kubernetes health check rules',
  'kubernetes ipvs access filter',
])

/** The matches that kube-proxy's jumps have, in any order; `X` stands for the comment or the chain. */
const jumpForms: ReadonlySet<string> = new Set([
  '-m comment --comment X -j X',
  '-m conntrack --ctstate NEW -m comment --comment X -j X',
  '-m comment --comment X -m conntrack --ctstate NEW -j X',
])

/** A jump exactly as kube-proxy writes it, wherever somebody moved it. */
export const isKubeProxyJump = (rule: RuleText): boolean => {
  const words = ruleWords(rule)
  const commentAt = words.indexOf('--comment') + 1
  const form = words.map((word, i) => (i === commentAt || i === words.length - 1 ? 'X' : word)).join(' ')
  return jumpForms.has(form) && jumpComments.has(words[commentAt] ?? '') && isEntryChain(words.at(-1) ?? '')
}

/** A jump of the other mode, as kube-proxy writes it, to a chain that `mode` has, too. */
export const isJumpOfAnotherMode = (mode: ChainMode, rule: RuleText): boolean =>
  isKubeProxyJump(rule) &&
  ruleTarget(rule)?.name === firewallChain &&
  commentOf(rule) === firewallComments[mode === 'iptables' ? 'ipvs' : 'iptables']

const commentOf = (rule: RuleText): string | undefined => {
  const words = ruleWords(rule)
  const at = words.indexOf('--comment')
  return at < 0 ? undefined : words[at + 1]
}

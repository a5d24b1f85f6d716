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

/**
 * A chain of kube-proxy in iptables or IPVS mode. Kubelet's are not among them: KUBE-FIREWALL, KUBE-MARK-DROP,
 * KUBE-KUBELET-CANARY, KUBE-IPTABLES-HINT.
 */
export const isKubeProxyChain = (table: TableName, chain: string): boolean =>
  fixedChains[table].has(chain) || ipvsChains[table].has(chain) || (table === 'nat' && serviceChain.test(chain))

/** A chain of kube-proxy that iptables mode never makes: of IPVS mode, or of an early release. */
export const isOfAnotherMode = (table: TableName, chain: string): boolean =>
  ipvsChains[table].has(chain) || (table === 'nat' && formerServiceChain.test(chain))

/** What names of chains that only weir has begin with, in any table. */
export const weirChainPrefix = 'WEIR-'

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

/** Of IPVS mode's jump to a chain that iptables mode has, too, and jumps to with another comment. */
const ipvsFirewallComment = 'kube-proxy firewall rules'

const jumpComments: ReadonlySet<string> = new Set([
  'kubernetes service portals',
  'kubernetes externally-visible service portals',
  'kubernetes health check service ports',
  'kubernetes forwarding rules',
  'kubernetes load balancer firewall',
  'kubernetes postrouting rules',
  ipvsFirewallComment,
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

/** A jump of IPVS mode, as kube-proxy writes it, to a chain that iptables mode has, too. */
export const isIpvsJump = (rule: RuleText): boolean =>
  isKubeProxyJump(rule) && commentOf(rule) === ipvsFirewallComment && ruleTarget(rule)?.name === 'KUBE-PROXY-FIREWALL'

const commentOf = (rule: RuleText): string | undefined => {
  const words = ruleWords(rule)
  const at = words.indexOf('--comment')
  return at < 0 ? undefined : words[at + 1]
}

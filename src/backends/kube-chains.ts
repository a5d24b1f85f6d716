import type { RuleText } from '../kernel/iptables/rule-text.ts'
import { ruleWords } from '../kernel/iptables/rule-text.ts'
import type { TableName } from '../kernel/iptables/table-name.ts'

/**
 * kube-proxy's fixed chains in iptables and IPVS mode, by table. Kubelet's are not among them: KUBE-FIREWALL,
 * KUBE-MARK-DROP, KUBE-KUBELET-CANARY, KUBE-IPTABLES-HINT.
 */
const fixedChains: Readonly<Record<TableName, ReadonlySet<string>>> = {
  raw: new Set(),
  mangle: new Set(['KUBE-PROXY-CANARY']),
  nat: new Set([
    'KUBE-SERVICES',
    'KUBE-NODEPORTS',
    'KUBE-POSTROUTING',
    'KUBE-MARK-MASQ',
    'KUBE-PROXY-CANARY',
    'KUBE-NODE-PORT',
    'KUBE-LOAD-BALANCER',
  ]),
  filter: new Set([
    'KUBE-SERVICES',
    'KUBE-EXTERNAL-SERVICES',
    'KUBE-NODEPORTS',
    'KUBE-FORWARD',
    'KUBE-PROXY-FIREWALL',
    'KUBE-PROXY-CANARY',
    'KUBE-NODE-PORT',
    'KUBE-SOURCE-RANGES-FIREWALL',
    'KUBE-IPVS-FILTER',
    'KUBE-IPVS-OUT-FILTER',
  ]),
  security: new Set(),
}

/** Of a service port or an endpoint: 16 Base32 characters of a SHA-256. XLB was EXT before Kubernetes 1.24. */
const serviceChain = /^KUBE-(?:SVC|SVL|EXT|FW|SEP|XLB)-[A-Z2-7]{16}$/

export const isKubeProxyChain = (table: TableName, chain: string): boolean =>
  fixedChains[table].has(chain) || (table === 'nat' && serviceChain.test(chain))

/** The chains that kube-proxy hooks into built-in ones. Whoever jumps to another from outside is not kube-proxy. */
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
])

export const isEntryChain = (chain: string): boolean => entryChains.has(chain)

const jumpComments: ReadonlySet<string> = new Set([
  'kubernetes service portals',
  'kubernetes externally-visible service portals',
  'kubernetes health check service ports',
  'kubernetes forwarding rules',
  'kubernetes load balancer firewall',
  'kubernetes postrouting rules',
  'kube-proxy firewall rules',
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

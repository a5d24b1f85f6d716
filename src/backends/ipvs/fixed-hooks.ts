import { ruleText } from '../../kernel/iptables/rule-text.ts'
import type { Hook } from '../rules/fixed-layout.ts'
import { commentWords, stateWords, type Words } from '../rules/rule-words.ts'

const hook = (chain: string, to: string, comment: string, matches: Words = []): Hook => ({
  chain,
  rule: ruleText(...matches, ...commentWords(comment), '-j', to),
})

/** In kube-proxy's order; each one is put before those above it. */
export const filterHooks: readonly Hook[] = [
  hook('FORWARD', 'KUBE-FORWARD', 'kubernetes forwarding rules'),
  hook('INPUT', 'KUBE-NODE-PORT', 'kubernetes health check rules'),
  hook('INPUT', 'KUBE-PROXY-FIREWALL', 'kube-proxy firewall rules'),
  hook('FORWARD', 'KUBE-PROXY-FIREWALL', 'kube-proxy firewall rules'),
  hook('INPUT', 'KUBE-IPVS-FILTER', 'kubernetes ipvs access filter'),
  hook('OUTPUT', 'KUBE-IPVS-OUT-FILTER', 'kubernetes ipvs access filter'),
]

export const natHooks: readonly Hook[] = [
  hook('OUTPUT', 'KUBE-SERVICES', 'kubernetes service portals'),
  hook('PREROUTING', 'KUBE-SERVICES', 'kubernetes service portals'),
  hook('POSTROUTING', 'KUBE-POSTROUTING', 'kubernetes postrouting rules'),
]

/** INPUT and not PREROUTING, because there nothing but IPVS looks at a mark any more: no routing, no rule of table nat. */
export const mangleHooks: readonly Hook[] = [
  hook('INPUT', 'WEIR-IPVS-INPUT', 'traffic policies ahead of IPVS', stateWords('NEW')),
  hook('OUTPUT', 'WEIR-IPVS-OUTPUT', 'traffic policies ahead of IPVS', stateWords('NEW')),
]

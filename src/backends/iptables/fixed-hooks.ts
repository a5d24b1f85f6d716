import { ruleText } from '../../kernel/iptables/rule-text.ts'
import type { Hook } from '../rules/fixed-layout.ts'
import { commentWords } from '../rules/rule-words.ts'

const newOnly = ['-m', 'conntrack', '--ctstate', 'NEW'] as const

const hook = (chain: string, to: string, comment: string, matches: readonly string[] = []): Hook => ({
  chain,
  rule: ruleText(...matches, ...commentWords(comment), '-j', to),
})

const portals = 'kubernetes service portals'
const visible = 'kubernetes externally-visible service portals'
const firewall = 'kubernetes load balancer firewall'

/** In kube-proxy's order; each one is put before those above it. */
export const filterHooks: readonly Hook[] = [
  hook('INPUT', 'KUBE-EXTERNAL-SERVICES', visible, newOnly),
  hook('FORWARD', 'KUBE-EXTERNAL-SERVICES', visible, newOnly),
  hook('INPUT', 'KUBE-NODEPORTS', 'kubernetes health check service ports'),
  hook('FORWARD', 'KUBE-SERVICES', portals, newOnly),
  hook('OUTPUT', 'KUBE-SERVICES', portals, newOnly),
  hook('FORWARD', 'KUBE-FORWARD', 'kubernetes forwarding rules'),
  hook('INPUT', 'KUBE-PROXY-FIREWALL', firewall, newOnly),
  hook('OUTPUT', 'KUBE-PROXY-FIREWALL', firewall, newOnly),
  hook('FORWARD', 'KUBE-PROXY-FIREWALL', firewall, newOnly),
  { chain: 'INPUT', rule: ruleText('-j', 'KUBE-FIREWALL') },
  { chain: 'OUTPUT', rule: ruleText('-j', 'KUBE-FIREWALL') },
]

export const natHooks: readonly Hook[] = [
  hook('OUTPUT', 'KUBE-SERVICES', portals),
  hook('PREROUTING', 'KUBE-SERVICES', portals),
  hook('POSTROUTING', 'KUBE-POSTROUTING', 'kubernetes postrouting rules'),
]

import { type RuleText, ruleText } from '../../kernel/iptables/rule-text.ts'
import type { HostState } from '../../model/host.ts'
import type { FixedChain } from './fixed-layout.ts'
import { commentWords, markText, podWords, stateWords, type Words } from './rule-words.ts'

/** Rules that kube-proxy has in mode iptables and in mode ipvs. */

export const fixedChain = (name: string, ...head: readonly RuleText[]): FixedChain => ({ name, head, tail: [] })

export const markMasquerade = ['-j', 'KUBE-MARK-MASQ'] as const

export const acceptMarked = ({ masqueradeMark }: HostState): RuleText =>
  ruleText(...commentWords('kubernetes forwarding rules'), ...markWords(masqueradeMark), '-j', 'ACCEPT')

export const acceptKnown: RuleText = ruleText(
  ...commentWords('kubernetes forwarding conntrack rule'),
  ...stateWords('RELATED,ESTABLISHED'),
  ...['-j', 'ACCEPT'],
)

const markWords = (mark: number, ...not: readonly '!'[]): Words => [
  ...['-m', 'mark', ...not, '--mark', `${markText(mark)}/${markText(mark)}`],
]

/**
 * The mark is cleared, or a packet that comes by again would be masqueraded again. `randomFully`: MASQUERADE knows
 * --random-fully.
 */
export const masqueradeMarked = (
  { masqueradeMark }: HostState,
  { randomFully }: { readonly randomFully: boolean },
): readonly RuleText[] => [
  ruleText(...markWords(masqueradeMark, '!'), '-j', 'RETURN'),
  ruleText('-j', 'MARK', '--xor-mark', markText(masqueradeMark)),
  ruleText(
    ...commentWords('kubernetes service traffic requiring SNAT'),
    ...['-j', 'MASQUERADE', ...(randomFully ? ['--random-fully'] : [])],
  ),
]

export const markChain = ({ masqueradeMark }: HostState): FixedChain =>
  fixedChain('KUBE-MARK-MASQ', ruleText('-j', 'MARK', '--or-mark', markText(masqueradeMark)))

/** Under neither masqueradeAll nor a detector there is no such rule. `clusterIPs`: a match of packets to any of them. */
export const masqueradeClusterIPs = (host: HostState, clusterIPs: Words): readonly RuleText[] => {
  const who = host.masqueradeAll ? [] : podWords(host.detector, '!')
  if (who === undefined) return []
  const comment = host.masqueradeAll
    ? 'masquerade traffic to cluster IPs'
    : 'masquerade off-cluster traffic to cluster IPs'
  return [ruleText(...commentWords(comment), ...clusterIPs, ...who, ...markMasquerade)]
}

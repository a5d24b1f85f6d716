import { type RuleText, ruleText } from '../../kernel/iptables/rule-text.ts'
import type { HostState } from '../../model/host.ts'
import type { FixedChain } from '../rules/fixed-layout.ts'
import { fixedChain } from '../rules/fixed-rules.ts'
import { commentWords, stateWords, type Words } from '../rules/rule-words.ts'
import type { IptablesSettings } from './settings.ts'

/** Rules that both layouts have, as kube-proxy writes them. */

/** Empty chains by whose absence kube-proxy notices that somebody flushed the rules. */
export const canary = fixedChain('KUBE-PROXY-CANARY')

/**
 * Kubelet's chain, which holds kubelet's copy of this rule as well: packets from elsewhere must not reach what listens on
 * loopback, although route_localnet is on (CVE-2020-8558).
 */
export const firewallChain = ({ localhostNodePorts, family }: IptablesSettings): FixedChain =>
  localhostNodePorts && family === 'IPv4'
    ? fixedChain(
        'KUBE-FIREWALL',
        ruleText(
          ...commentWords('block incoming localnet connections'),
          ...['-d', '127.0.0.0/8', '!', '-s', '127.0.0.0/8'],
          ...['-m', 'conntrack', '!', '--ctstate', 'RELATED,ESTABLISHED,DNAT', '-j', 'DROP'],
        ),
      )
    : { ...fixedChain('KUBE-FIREWALL'), shared: true }

/** INVALID packets would not be translated back, and would make endpoints reset their connections. */
export const dropInvalid = ({ dropInvalid, nfacct }: IptablesSettings): readonly RuleText[] => {
  if (!dropInvalid) return []
  const counter = nfacct ? ['-m', 'nfacct', '--nfacct-name', 'ct_state_invalid_dropped_pkts'] : []
  return [ruleText(...stateWords('INVALID'), ...counter, '-j', 'DROP')]
}

const gateComment = 'kubernetes service nodeports; NOTE: this must be the last rule in this chain'

/**
 * Matches packets to addresses that take NodePorts, a match for each rule that it takes. The kernel sends nothing from ::1
 * elsewhere, so loopback never works in IPv6.
 */
const nodeAddressWords = (host: HostState, { family, localhostNodePorts }: IptablesSettings): readonly Words[] => {
  const { nodePortAddresses } = host
  const localhost = family === 'IPv4' && localhostNodePorts
  if (nodePortAddresses.kind === 'all') {
    const loopback = family === 'IPv4' ? '127.0.0.0/8' : '::1/128'
    return [['-m', 'addrtype', '--dst-type', 'LOCAL', ...(localhost ? [] : ['!', '-d', loopback])]]
  }
  const accepting = nodePortAddresses.addresses.filter((ip) => localhost || !(ip.startsWith('127.') || ip === '::1'))
  return accepting.map((ip) => ['-d', ip])
}

/** Lets packets to NodePorts through; `before`: what else they have to match. */
export const nodePortGate = (host: HostState, settings: IptablesSettings, before: Words = []): readonly RuleText[] =>
  nodeAddressWords(host, settings).map((address) =>
    ruleText(...commentWords(gateComment), ...before, ...address, '-j', 'KUBE-NODEPORTS'),
  )

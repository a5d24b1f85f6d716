import { type RuleText, ruleText } from '../../kernel/iptables/rule-text.ts'
import type { HostState } from '../../model/host.ts'
import type { FixedLayout } from '../rules/fixed-layout.ts'
import {
  acceptKnown,
  acceptMarked,
  fixedChain,
  markChain,
  markMasquerade,
  masqueradeClusterIPs,
  masqueradeMarked,
} from '../rules/fixed-rules.ts'
import { commentWords, type Words } from '../rules/rule-words.ts'
import { filterHooks, natHooks } from './fixed-hooks.ts'
import { canary, dropInvalid, firewallChain, nodePortGate } from './fixed-rules.ts'
import { countsLocalhost, localhostCounter, setWords } from './layout-words.ts'
import type { SetRole } from './sets.ts'
import type { IptablesSettings } from './settings.ts'

const bitmapProtocols = ['TCP', 'UDP'] as const
const toLocal: Words = ['-m', 'addrtype', '--dst-type', 'LOCAL']

/** kube-proxy's chains and jumps, with rules that ask sets; entries of Services are below WEIR-SERVICES and WEIR-NODEPORTS. */
export const fixedWithSets = (host: HostState, settings: IptablesSettings): FixedLayout => {
  const server = (role: SetRole): Words => setWords(role, settings.family, 'dst,dst')
  const hairpin = ['-m', 'conntrack', '--ctstate', 'DNAT', ...setWords('LOOP-BACK', settings.family, 'dst,dst,src')]
  const rule = (comment: string, ...words: readonly string[]): RuleText => ruleText(...commentWords(comment), ...words)
  /** For TCP and UDP; `match`: what else has to match. */
  const ports = (comment: string, role: PortRole, match: Words, ...action: readonly string[]): readonly RuleText[] =>
    bitmapProtocols.map((protocol) => rule(comment, ...portSet(role, protocol, settings), ...match, ...action))
  return {
    filter: {
      chains: [
        fixedChain(
          'KUBE-SERVICES',
          rule('cluster IPs without endpoints', ...server('REJECT'), '-j', 'REJECT'),
          rule('cluster IPs without local endpoints', ...server('DROP'), '-j', 'DROP'),
        ),
        fixedChain(
          'KUBE-EXTERNAL-SERVICES',
          rule('external addresses without endpoints', ...server('EXT-REJECT'), '-j', 'REJECT'),
          rule('external addresses without local endpoints', ...server('EXT-DROP'), '-j', 'DROP'),
          ...ports('node ports without endpoints', 'NP-REJECT', toLocal, '-j', 'REJECT'),
          ...ports('node ports without local endpoints', 'NP-DROP', toLocal, '-j', 'DROP'),
        ),
        fixedChain(
          'KUBE-FORWARD',
          ...dropInvalid(settings),
          acceptMarked(host),
          acceptKnown,
          // Last, so that only the first packet of a connection is looked up.
          rule('endpoints that reach themselves', ...hairpin, '-j', 'ACCEPT'),
        ),
        fixedChain(
          'KUBE-NODEPORTS',
          rule('health check ports', '-p', 'tcp', ...setWords('HEALTH-CHECK', settings.family, 'dst'), '-j', 'ACCEPT'),
        ),
        fixedChain(
          'KUBE-PROXY-FIREWALL',
          rule('load balancer addresses from outside their source ranges', ...server('LB-FW'), '-j', 'DROP'),
        ),
        firewallChain(settings),
        canary,
      ],
      hooks: filterHooks,
    },
    nat: {
      chains: [
        {
          name: 'KUBE-SERVICES',
          head: [
            ...masqueradeClusterIPs(host, server('CLUSTER-IP')),
            rule('masquerade traffic to external addresses', ...server('EXTERNAL'), ...markMasquerade),
            rule('cluster IPs and external addresses', '-j', 'WEIR-SERVICES'),
          ],
          tail: [
            ...bitmapProtocols.flatMap((protocol) => nodePortGate(host, settings, portSet('NP', protocol, settings))),
            ...nodePortGate(host, settings, ['-p', 'sctp']),
          ],
        },
        fixedChain(
          'KUBE-NODEPORTS',
          ...localhostCounters(settings),
          ...ports('masquerade traffic to node ports', 'NP-MASQ', [], ...markMasquerade),
          rule('node ports', '-j', 'WEIR-NODEPORTS'),
        ),
        fixedChain(
          'KUBE-POSTROUTING',
          rule('masquerade endpoints that reach themselves', ...hairpin, ...markMasquerade),
          ...masqueradeMarked(host, settings),
        ),
        markChain(host),
        canary,
        fixedChain('WEIR-SERVICES'),
        fixedChain('WEIR-NODEPORTS'),
      ],
      hooks: natHooks,
    },
    mangle: { chains: [canary], hooks: [] },
  }
}

/** Sets of ports come in pairs; `NP` is `NP-TCP` and `NP-UDP`. */
type PortRole = 'NP' | 'NP-MASQ' | 'NP-REJECT' | 'NP-DROP'

const portSet = (role: PortRole, protocol: 'TCP' | 'UDP', { family }: IptablesSettings): Words => [
  ...['-p', protocol.toLowerCase()],
  ...setWords(`${role}-${protocol}`, family, 'dst'),
]

/** All that comes here by TCP or UDP is for a NodePort with endpoints. */
const localhostCounters = (settings: IptablesSettings): readonly RuleText[] => {
  if (!countsLocalhost(settings)) return []
  return bitmapProtocols.map((protocol) =>
    ruleText(
      ...commentWords('count node ports on loopback'),
      ...['-p', protocol.toLowerCase(), '-d', '127.0.0.0/8'],
      ...localhostCounter,
    ),
  )
}

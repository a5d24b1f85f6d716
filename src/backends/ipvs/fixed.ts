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
import { commentWords, matchSet, podWords, stateWords, type Words } from '../rules/rule-words.ts'
import { filterHooks, mangleHooks, natHooks } from './fixed-hooks.ts'
import { type SetRole, setName } from './sets.ts'
import type { IpvsSettings } from './settings.ts'

const nodePortProtocols = ['TCP', 'UDP', 'SCTP'] as const

/**
 * Every rule that there is: what follows the cluster is in sets. Names and order are kube-proxy's; table mangle is ours.
 * A packet for a virtual server passes them so:
 *
 *     forwarded   PREROUTING nat · INPUT mangle, filter · IPVS · OUTPUT mangle, filter · POSTROUTING nat
 *     the node's  OUTPUT mangle, nat · IPVS · OUTPUT mangle, filter · POSTROUTING nat
 *
 * Behind IPVS its destination is a real server, unless that is reached by direct routing.
 */
export const fixedLayout = (host: HostState, settings: IpvsSettings): FixedLayout => {
  const { family } = settings
  const rule = (comment: string, ...words: readonly string[]): RuleText => ruleText(...commentWords(comment), ...words)
  const set = (role: SetRole, dirs: string): Words => matchSet(setName(role, family), dirs)
  const server = (role: SetRole): Words => set(role, 'dst,dst')
  const accept = ['-j', 'ACCEPT']
  const drop = ['-j', 'DROP']
  const back = ['-j', 'RETURN']
  const sourceRanges = [
    rule('sources that are let in', ...set('LOAD-BALANCER-SOURCE-CIDR', 'dst,dst,src'), ...back),
    rule('the node itself', ...set('LOAD-BALANCER-SOURCE-IP', 'dst,dst,src'), ...back),
    ruleText(...drop),
  ]
  const guarded = ['LOAD-BALANCER', 'CLUSTER-IP', 'EXTERNAL-IP', 'EXTERNAL-IP-LOCAL'] as const
  return {
    mangle: {
      chains: [
        fixedChain(
          'WEIR-IPVS-INPUT',
          rule('cluster IPs without local endpoints', ...server('DROP'), ...drop),
          ...insideForPods(host, family),
          rule(
            'external addresses without local endpoints',
            ...(podWords(host.detector, '!') ?? []),
            ...server('EXT-DROP'),
            ...drop,
          ),
        ),
        fixedChain(
          'WEIR-IPVS-OUTPUT',
          // A new mark would have the kernel route them again, and those of direct routing to this node.
          rule('on their way to a real server', '-m', 'ipvs', '--ipvs', ...back),
          rule('cluster IPs without local endpoints', ...server('DROP'), ...drop),
          rule('addresses for some sources only', ...server('LOAD-BALANCER-FW'), '-j', 'WEIR-IPVS-SOURCE-RANGES'),
          rule('every endpoint for the node itself', ...markInside(family)),
        ),
        fixedChain('WEIR-IPVS-SOURCE-RANGES', ...sourceRanges),
      ],
      hooks: mangleHooks,
    },
    filter: {
      chains: [
        fixedChain('KUBE-FORWARD', acceptMarked(host), acceptKnown),
        fixedChain(
          'KUBE-PROXY-FIREWALL',
          rule(
            'addresses for some sources only',
            ...stateWords('NEW'),
            ...server('LOAD-BALANCER-FW'),
            ...['-j', 'KUBE-SOURCE-RANGES-FIREWALL'],
          ),
        ),
        fixedChain('KUBE-SOURCE-RANGES-FIREWALL', ...sourceRanges),
        fixedChain(
          'KUBE-NODE-PORT',
          rule('health check ports', '-p', 'tcp', ...set('HEALTH-CHECK-NODE-PORT', 'dst'), ...accept),
        ),
        fixedChain(
          'KUBE-IPVS-FILTER',
          ruleText('-m', 'conntrack', '!', '--ctstate', 'NEW', ...back),
          ...guarded.map((role) => ruleText(...server(role), ...back)),
          ruleText('-p', 'tcp', ...set('HEALTH-CHECK-NODE-PORT', 'dst'), ...back),
          rule(
            'what no Service has; the node answers pings',
            ...['!', '-p', family === 'IPv4' ? 'icmp' : 'ipv6-icmp'],
            ...set('IPVS-IPS', 'dst'),
            ...['-j', 'REJECT'],
          ),
        ),
        // kube-proxy's drops are in table mangle, because IPVS takes packets before they get here.
        fixedChain('KUBE-IPVS-OUT-FILTER'),
      ],
      hooks: filterHooks,
    },
    nat: {
      chains: [
        fixedChain(
          'KUBE-SERVICES',
          ruleText('-s', family === 'IPv4' ? '127.0.0.0/8' : '::1/128', ...back),
          rule('real servers that answer clients themselves', ...server('DIRECT'), ...accept),
          rule('load balancer addresses', ...server('LOAD-BALANCER'), '-j', 'KUBE-LOAD-BALANCER'),
          ...masqueradeClusterIPs(host, server('CLUSTER-IP')),
          rule('masquerade traffic to external IPs', ...server('EXTERNAL-IP'), ...markMasquerade),
          // Before NodePorts, as an address of kube-ipvs0 is local, and may have a port that is another Service's NodePort.
          ...guarded.map((role) => ruleText(...server(role), ...accept)),
          // The sets hold ports alone: at an address that takes no NodePorts the node itself would be masqueraded in vain.
          ruleText(...['-m', 'addrtype', '!', '--src-type', 'LOCAL', '--dst-type', 'LOCAL', '-j', 'KUBE-NODE-PORT']),
        ),
        fixedChain(
          'KUBE-LOAD-BALANCER',
          rule('policy Local keeps the source', ...server('LOAD-BALANCER-LOCAL'), ...back),
          ruleText(...markMasquerade),
        ),
        fixedChain(
          'KUBE-NODE-PORT',
          ...nodePortProtocols.flatMap((protocol) => {
            const match = (role: SetRole): Words => [
              ...['-p', protocol.toLowerCase()],
              ...(protocol === 'SCTP' ? server(role) : set(role, 'dst')),
            ]
            return [
              rule('policy Local keeps the source', ...match(`NODE-PORT-LOCAL-${protocol}`), ...back),
              rule('masquerade traffic to node ports', ...match(`NODE-PORT-${protocol}`), ...markMasquerade),
            ]
          }),
        ),
        fixedChain(
          'KUBE-POSTROUTING',
          rule(
            'endpoints that reach themselves',
            ...['-m', 'ipvs', '--ipvs'],
            ...set('LOOP-BACK', 'dst,dst,src'),
            ...markMasquerade,
          ),
          // Their source is the virtual server's address: it is local, so the kernel chose it.
          rule(
            'the node itself',
            ...['-m', 'ipvs', '--vmethod', 'MASQ'],
            ...['-m', 'addrtype', '--src-type', 'LOCAL'],
            ...markMasquerade,
          ),
          ...masqueradeMarked(host, settings),
        ),
        markChain(host),
      ],
      hooks: natHooks,
    },
  }
}

const markInside = (family: IpvsSettings['family']): Words => [
  ...['-j', 'SET', '--map-set', setName('INSIDE', family), 'dst,dst', '--map-mark'],
]

const insideForPods = (host: HostState, family: IpvsSettings['family']): readonly RuleText[] => {
  const pods = podWords(host.detector)
  return pods === undefined
    ? []
    : [ruleText(...commentWords('every endpoint for pods'), ...pods, ...markInside(family))]
}

import { ruleText } from '../../kernel/iptables/rule-text.ts'
import type { ServiceState } from '../../model/desired.ts'
import type { IP } from '../../model/ip.ts'
import type { Port } from '../../model/port.ts'
import { commentWords, type Words } from '../rules/rule-words.ts'
import type { Refusal, Scope } from './layout-scope.ts'
import type { FilterMemberChain, FilterRule } from './layout-types.ts'
import { portWords, serverWords } from './layout-words.ts'
import { serviceChain } from './names.ts'

/** Rules of table filter for one service port, as kube-proxy has them. */
export const filterRules = (state: ServiceState, scope: Scope): readonly FilterRule[] => {
  const { name, loadBalancerIPs, healthCheckNodePort } = state
  const rules = [...refusalRules(state, scope)]
  if (scope.guarded) for (const ip of loadBalancerIPs) rules.push(notAccepted(state, ip))
  if (healthCheckNodePort !== undefined) {
    const comment = commentWords(`${name} health check node port`)
    const rule = ruleText(...comment, ...portWords('TCP', healthCheckNodePort), '-j', 'ACCEPT')
    rules.push({ chain: 'KUBE-NODEPORTS', rule })
  }
  return rules
}

/** Those for packets that no rule of table nat has taken. */
export const refusalRules = (
  state: ServiceState,
  { internalRefusal, externalRefusal }: Pick<Scope, 'internalRefusal' | 'externalRefusal'>,
): readonly FilterRule[] => {
  const { clusterIP, externalIPs, loadBalancerIPs, nodePort } = state
  const rules: FilterRule[] = []
  if (clusterIP !== undefined && internalRefusal !== undefined) {
    rules.push(addressRefusal('KUBE-SERVICES', state, clusterIP, internalRefusal))
  }
  if (externalRefusal !== undefined) {
    for (const ip of externalIPs) rules.push(addressRefusal('KUBE-EXTERNAL-SERVICES', state, ip, externalRefusal))
    for (const ip of loadBalancerIPs) rules.push(addressRefusal('KUBE-EXTERNAL-SERVICES', state, ip, externalRefusal))
    if (nodePort !== undefined) rules.push(nodePortRefusal(state, nodePort, externalRefusal))
  }
  return rules
}

const refusalWords: Readonly<Record<Refusal, Words>> = {
  REJECT: ['-j', 'REJECT'],
  RESET: ['-j', 'REJECT', '--reject-with', 'tcp-reset'],
  DROP: ['-j', 'DROP'],
}

const addressRefusal = (chain: FilterMemberChain, state: ServiceState, ip: IP, refusal: Refusal): FilterRule => ({
  chain,
  rule: ruleText(...refusalComment(state, refusal), ...serverWords(state, ip), ...refusalWords[refusal]),
})

export const nodePortRefusal = (state: ServiceState, nodePort: Port, refusal: Refusal): FilterRule => ({
  chain: 'KUBE-EXTERNAL-SERVICES',
  rule: ruleText(
    ...refusalComment(state, refusal),
    ...['-m', 'addrtype', '--dst-type', 'LOCAL'],
    ...portWords(state.protocol, nodePort),
    ...refusalWords[refusal],
  ),
})

const refusalComment = ({ name }: ServiceState, refusal: Refusal): readonly string[] =>
  commentWords(`${name} has no ${refusal === 'DROP' ? 'local ' : ''}endpoints`)

const notAccepted = (state: ServiceState, ip: IP): FilterRule => {
  const comment = `${state.name} traffic not accepted by ${serviceChain('FW', state)}`
  return {
    chain: 'KUBE-PROXY-FIREWALL',
    rule: ruleText(...commentWords(comment), ...serverWords(state, ip), '-j', 'DROP'),
  }
}

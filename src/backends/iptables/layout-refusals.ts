import { ruleText } from '../../kernel/iptables/rule-text.ts'
import type { ServiceState } from '../../model/desired.ts'
import type { IP } from '../../model/ip.ts'
import type { Port } from '../../model/port.ts'
import { commentWords } from '../rules/rule-words.ts'
import type { Refusal, Scope } from './layout-scope.ts'
import type { FilterMemberChain, FilterRule } from './layout-types.ts'
import { portWords, serverWords } from './layout-words.ts'
import { serviceChain } from './names.ts'

/** Rules of table filter for one service port, as kube-proxy has them. */
export const filterRules = (state: ServiceState, scope: Scope): readonly FilterRule[] => {
  const { name, clusterIP, externalIPs, loadBalancerIPs, nodePort, healthCheckNodePort } = state
  const { internalRefusal, externalRefusal } = scope
  const rules: FilterRule[] = []
  if (clusterIP !== undefined && internalRefusal !== undefined) {
    rules.push(addressRefusal('KUBE-SERVICES', state, clusterIP, internalRefusal))
  }
  if (scope.guarded) for (const ip of loadBalancerIPs) rules.push(notAccepted(state, ip))
  if (externalRefusal !== undefined) {
    for (const ip of externalIPs) rules.push(addressRefusal('KUBE-EXTERNAL-SERVICES', state, ip, externalRefusal))
    for (const ip of loadBalancerIPs) rules.push(addressRefusal('KUBE-EXTERNAL-SERVICES', state, ip, externalRefusal))
    if (nodePort !== undefined) rules.push(nodePortRefusal(state, nodePort, externalRefusal))
  }
  if (healthCheckNodePort !== undefined) {
    const comment = commentWords(`${name} health check node port`)
    const rule = ruleText(...comment, ...portWords('TCP', healthCheckNodePort), '-j', 'ACCEPT')
    rules.push({ chain: 'KUBE-NODEPORTS', rule })
  }
  return rules
}

const addressRefusal = (chain: FilterMemberChain, state: ServiceState, ip: IP, refusal: Refusal): FilterRule => ({
  chain,
  rule: ruleText(...refusalComment(state, refusal), ...serverWords(state, ip), '-j', refusal),
})

export const nodePortRefusal = (state: ServiceState, nodePort: Port, refusal: Refusal): FilterRule => ({
  chain: 'KUBE-EXTERNAL-SERVICES',
  rule: ruleText(
    ...refusalComment(state, refusal),
    ...['-m', 'addrtype', '--dst-type', 'LOCAL'],
    ...portWords(state.protocol, nodePort),
    ...['-j', refusal],
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

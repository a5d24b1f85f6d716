import { ipPort, ipPortIp, ipPortNet, type Member, portMember } from '../../kernel/ipset/member.ts'
import { hostCidr } from '../../model/cidr.ts'
import type { ServiceState } from '../../model/desired.ts'
import type { IP } from '../../model/ip.ts'
import { type Refusal, reachable, type Scope } from './layout-scope.ts'
import type { SetElement } from './layout-types.ts'
import type { SetRole } from './sets.ts'

/** What one service port adds to the sets. Members of several service ports may be equal: endpoints, health check ports. */
export const setElements = (state: ServiceState, scope: Scope): readonly SetElement[] => {
  const elements: SetElement[] = []
  const add = (set: SetRole, member: Member): void => void elements.push({ set, member })
  const addAddress = (set: SetRole, ip: IP): void => add(set, ipPort(ip, state.protocol, state.port))
  const { clusterIP, externalIPs, loadBalancerIPs, protocol } = state
  const internalRefusal = bySet(scope.internalRefusal)
  const externalRefusal = bySet(scope.externalRefusal)

  if (scope.internal && clusterIP !== undefined) addAddress('CLUSTER-IP', clusterIP)
  if (clusterIP !== undefined && internalRefusal !== undefined) addAddress(internalRefusal, clusterIP)
  if (scope.external && state.externalPolicy === 'Cluster') {
    for (const ip of externalIPs) addAddress('EXTERNAL', ip)
    // With source ranges the rule that knows the source marks its packets: who is not let in stays as he is.
    if (!scope.guarded) for (const ip of loadBalancerIPs) addAddress('EXTERNAL', ip)
  }
  if (externalRefusal !== undefined) {
    for (const ip of [...externalIPs, ...loadBalancerIPs]) addAddress(`EXT-${externalRefusal}`, ip)
  }
  if (scope.guarded) addGuards(state, add)
  if (state.nodePort !== undefined && protocol !== 'SCTP') {
    const member = portMember(state.nodePort)
    if (scope.external) {
      add(`NP-${protocol}`, member)
      if (state.externalPolicy === 'Cluster') add(`NP-MASQ-${protocol}`, member)
    }
    if (externalRefusal !== undefined) add(`NP-${externalRefusal}-${protocol}`, member)
  }
  if (state.healthCheckNodePort !== undefined) add('HEALTH-CHECK', portMember(state.healthCheckNodePort))
  for (const { ip, port } of reachable(scope)) add('LOOP-BACK', ipPortIp(ip, protocol, port, ip))
  return elements
}

/** The rule of a set refuses all alike; a reset has a rule of its own. */
const bySet = (refusal: Refusal | undefined): Exclude<Refusal, 'RESET'> | undefined =>
  refusal === 'RESET' ? undefined : refusal

const addGuards = (state: ServiceState, add: (set: SetRole, member: Member) => void): void => {
  const { protocol, port, loadBalancerIPs, sourceRanges = [] } = state
  const sources = new Set([...sourceRanges, ...(state.nodeInSourceRanges ? loadBalancerIPs.map(hostCidr) : [])])
  for (const ip of loadBalancerIPs) {
    add('LB-FW', ipPort(ip, protocol, port))
    for (const source of sources) add('LB-SOURCE', ipPortNet(ip, protocol, port, source))
  }
}

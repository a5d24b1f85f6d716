import { ipMember, ipPort, ipPortIp, ipPortNet, type Member, portMember } from '../../kernel/ipset/member.ts'
import type { ServiceState } from '../../model/desired.ts'
import type { IP } from '../../model/ip.ts'
import type { Front } from './layout-fronts.ts'
import type { SetElement } from './layout-types.ts'
import type { SetRole } from './sets.ts'

/** `direct`: the fronts of servers that do not masquerade; `bound`: what is an address of kube-ipvs0. */
interface Given {
  readonly fronts: readonly Front[]
  readonly direct: readonly Front[]
  readonly bound: readonly IP[]
}

/** What one service port adds to the sets, each member once, without those of INSIDE. */
export const setElements = (state: ServiceState, { fronts, direct, bound }: Given): readonly SetElement[] => {
  const { protocol, hasEndpoints, internalPolicy, externalPolicy, local } = state
  const elements: SetElement[] = []
  const add = (set: SetRole, member: Member): void => void elements.push({ set, member })
  const address = ({ ip, port }: Front): Member => ipPort(ip, protocol, port)
  const keepsSource = externalPolicy === 'Local'
  const nothingHere = hasEndpoints && local.length === 0

  for (const front of fronts) {
    for (const set of rolesOf(front, keepsSource)) add(set, address(front))
    if (nothingHere && front.kind === 'clusterIP' && internalPolicy === 'Local') add('DROP', address(front))
    if (nothingHere && front.kind !== 'clusterIP' && keepsSource) add('EXT-DROP', address(front))
  }
  addNodePort(state, fronts, keepsSource, add)
  for (const front of direct) add('DIRECT', address(front))
  for (const ip of bound) add('IPVS-IPS', ipMember(ip))
  addGuards(state, add)
  if (state.healthCheckNodePort !== undefined) add('HEALTH-CHECK-NODE-PORT', portMember(state.healthCheckNodePort))
  for (const member of hairpins(state)) add('LOOP-BACK', member)
  return elements
}

const rolesOf = ({ kind }: Front, keepsSource: boolean): readonly SetRole[] => {
  switch (kind) {
    case 'clusterIP':
      return ['CLUSTER-IP']
    case 'externalIP':
      return [keepsSource ? 'EXTERNAL-IP-LOCAL' : 'EXTERNAL-IP']
    case 'loadBalancerIP':
      return keepsSource ? ['LOAD-BALANCER', 'LOAD-BALANCER-LOCAL'] : ['LOAD-BALANCER']
    case 'nodePort':
      return []
  }
}

/** bitmap:port knows no SCTP, so those are by address. */
const addNodePort = (
  { protocol, nodePort }: ServiceState,
  fronts: readonly Front[],
  keepsSource: boolean,
  add: (set: SetRole, member: Member) => void,
): void => {
  if (nodePort === undefined) return
  const nodePorts = fronts.filter(({ kind }) => kind === 'nodePort').map(({ ip, port }) => ipPort(ip, protocol, port))
  for (const member of nodePorts) add('NODE-PORT', member)
  const members = protocol === 'SCTP' ? nodePorts : [portMember(nodePort)]
  for (const member of members) {
    add(`NODE-PORT-${protocol}`, member)
    if (keepsSource) add(`NODE-PORT-LOCAL-${protocol}`, member)
  }
}

const addGuards = (state: ServiceState, add: (set: SetRole, member: Member) => void): void => {
  const { protocol, port, loadBalancerIPs, sourceRanges = [], nodeInSourceRanges } = state
  if (sourceRanges.length === 0) return
  for (const ip of loadBalancerIPs) {
    add('LOAD-BALANCER-FW', ipPort(ip, protocol, port))
    for (const range of sourceRanges) add('LOAD-BALANCER-SOURCE-CIDR', ipPortNet(ip, protocol, port, range))
    if (!nodeInSourceRanges) continue
    for (const from of loadBalancerIPs) add('LOAD-BALANCER-SOURCE-IP', ipPortIp(ip, protocol, port, from))
  }
}

const hairpins = ({ protocol, cluster, local, drained = [] }: ServiceState): ReadonlySet<Member> =>
  new Set(
    [...cluster, ...local, ...drained]
      .filter((target) => target.local)
      .map(({ ip, port }) => ipPortIp(ip, protocol, port, ip)),
  )

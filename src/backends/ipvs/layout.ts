import type { RealServer } from '../../kernel/ipvs/ipvs.ts'
import type { ForwardingMethod } from '../../model/connections.ts'
import type { ServiceState } from '../../model/desired.ts'
import type { HostState } from '../../model/host.ts'
import type { TrafficPolicy } from '../../model/service.ts'
import { setElements } from './layout-elements.ts'
import { forwardingOf } from './layout-forwarding.ts'
import { type Front, type FrontKind, frontsOf } from './layout-fronts.ts'
import { realServers, shapeOf, targetsUnder } from './layout-servers.ts'
import type { AddressServer, InsideServer, LayoutProblem, ServiceLayout, VirtualServerShape } from './layout-types.ts'
import type { IpvsSettings } from './settings.ts'

/** Everything that one service port needs in one family. Pure: equal states give equal layouts, in equal order. */
export const layoutService = (state: ServiceState, host: HostState, settings: IpvsSettings): ServiceLayout => {
  const { protocol } = state
  const shape = shapeOf(state, settings)
  const fronts = frontsOf(state, host)
  const forwarding = forwardingOf(state, fronts)
  const list = listsOf(state, shape)
  const servers = fronts.map(({ kind, ip, port }): AddressServer => {
    const policy = kind === 'clusterIP' ? state.internalPolicy : state.externalPolicy
    const nodePort = kind === 'nodePort'
    return { protocol, ip, port, nodePort, shape, realServers: list(policy, forwarding.of(kind)) }
  })

  const addressed = fronts.filter(({ kind }) => kind !== 'nodePort')
  const elsewhere = new Set(host.addresses)
  const bound = addressed.filter(({ ip }) => !elsewhere.has(ip)).map(({ ip }) => ip)
  const direct = fronts.filter(({ kind }) => forwarding.of(kind) !== 'masquerade')
  return {
    servers,
    inside: insideServer(state, fronts, { shape, realServers: list('Cluster', 'masquerade') }),
    addresses: bound,
    elements: setElements(state, { fronts, direct, bound }),
    problems: [...forwarding.problems, ...addressed.filter(({ ip }) => elsewhere.has(ip)).map(notBound)],
  }
}

/** Equal lists are the same array. */
const listsOf = (state: ServiceState, { scheduler }: VirtualServerShape) => {
  const made = new Map<string, readonly RealServer[]>()
  return (policy: TrafficPolicy, forwarding: ForwardingMethod): readonly RealServer[] => {
    const key = `${policy} ${forwarding}`
    const list = made.get(key) ?? realServers(targetsUnder(policy, state, scheduler), forwarding)
    made.set(key, list)
    return list
  }
}

/**
 * There under policy Local whatever the endpoints are: it comes and goes with the Service, and so connections outlast that
 * everyone finds the same. Never direct: the answers to pods and to the node would come back here from an address that
 * is the node's own, which the kernel takes for spoofed.
 */
const insideServer = (
  { externalPolicy, protocol }: ServiceState,
  fronts: readonly Front[],
  server: Pick<InsideServer, 'shape' | 'realServers'>,
): InsideServer | undefined => {
  const external = fronts.filter(({ kind }) => kind !== 'clusterIP')
  if (externalPolicy === 'Cluster' || external.length === 0) return undefined
  return { fronts: external.map(({ ip, port }) => ({ protocol, ip, port })), ...server }
}

const fields = {
  clusterIP: 'spec.clusterIPs',
  externalIP: 'spec.externalIPs',
  loadBalancerIP: 'status.loadBalancer.ingress',
  nodePort: 'spec.ports',
} as const satisfies Record<FrontKind, string>

const notBound = ({ kind, ip }: Front): LayoutProblem => ({
  field: fields[kind],
  reason: `${ip} is on an interface of the node already, so it is served there and not bound to another`,
})

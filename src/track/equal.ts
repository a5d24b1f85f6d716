import type { ConnectionOptions } from '../model/connections.ts'
import type { Endpoint, EndpointPort, EndpointSlice } from '../model/endpoint-slice.ts'
import type { Node, ServiceCidr } from '../model/node.ts'
import type { RequestedScheduling } from '../model/scheduling.ts'
import type { Service, ServicePort } from '../model/service.ts'

/** Same length and pairwise equal, order included. */
const sameList = <T>(a: readonly T[], b: readonly T[], same: (x: T, y: T) => boolean): boolean => {
  if (a === b) return true
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) {
    const x = a[i]
    const y = b[i]
    if (x === undefined || y === undefined || !same(x, y)) return false
  }
  return true
}

const identical = (a: string, b: string): boolean => a === b

const sameTexts = (a: readonly string[] | undefined, b: readonly string[] | undefined): boolean =>
  a === b || (a !== undefined && b !== undefined && sameList(a, b, identical))

const sameWeights = (
  a: ReadonlyMap<string, number> | undefined,
  b: ReadonlyMap<string, number> | undefined,
): boolean => {
  if (a === b) return true
  if (a === undefined || b === undefined || a.size !== b.size) return false
  for (const [name, weight] of a) if (b.get(name) !== weight) return false
  return true
}

const sameScheduling = (a: RequestedScheduling, b: RequestedScheduling): boolean =>
  a === b || (a.scheduler === b.scheduler && sameTexts(a.flags, b.flags) && sameWeights(a.weights, b.weights))

const sameConnections = (a: ConnectionOptions, b: ConnectionOptions): boolean =>
  a === b ||
  (a.proxyProtocol === b.proxyProtocol &&
    a.maxConnections === b.maxConnections &&
    a.forwarding === b.forwarding &&
    a.resetStaleTcp === b.resetStaleTcp)

const samePort = (a: ServicePort, b: ServicePort): boolean =>
  a.name === b.name && a.protocol === b.protocol && a.port === b.port && a.nodePort === b.nodePort

/** Nothing that a proxy acts on differs. `uid` and `created` are bookkeeping: a Service recreated as it was is equal. */
export const sameService = (a: Service, b: Service): boolean =>
  a === b ||
  (a.key === b.key &&
    sameTexts(a.clusterIPs, b.clusterIPs) &&
    sameTexts(a.externalIPs, b.externalIPs) &&
    sameTexts(a.loadBalancerIPs, b.loadBalancerIPs) &&
    sameTexts(a.sourceRanges, b.sourceRanges) &&
    sameList(a.ports, b.ports, samePort) &&
    a.internalPolicy === b.internalPolicy &&
    a.externalPolicy === b.externalPolicy &&
    a.affinitySeconds === b.affinitySeconds &&
    a.healthCheckNodePort === b.healthCheckNodePort &&
    sameScheduling(a.scheduling, b.scheduling) &&
    sameConnections(a.connections, b.connections))

const sameEndpointPort = (a: EndpointPort, b: EndpointPort): boolean =>
  a.name === b.name && a.protocol === b.protocol && a.port === b.port

const sameEndpoint = (a: Endpoint, b: Endpoint): boolean =>
  a === b ||
  (a.ip === b.ip &&
    a.ready === b.ready &&
    a.serving === b.serving &&
    a.terminating === b.terminating &&
    a.nodeName === b.nodeName &&
    a.zone === b.zone &&
    a.podName === b.podName &&
    sameTexts(a.zoneHints, b.zoneHints) &&
    sameTexts(a.nodeHints, b.nodeHints))

/** Same Service, family, ports and endpoints: what else a slice carries is metadata. */
export const sameSlice = (a: EndpointSlice, b: EndpointSlice): boolean =>
  a === b ||
  (a.service === b.service &&
    a.family === b.family &&
    sameList(a.ports, b.ports, sameEndpointPort) &&
    sameList(a.endpoints, b.endpoints, sameEndpoint))

/** What rules depend on in a Node. `leaving` is about health checks only, so it is left out. */
export const sameNodeForRules = (a: Node | undefined, b: Node | undefined): boolean =>
  a === b || (a !== undefined && b !== undefined && sameNodeForServices(a, b) && sameTexts(a.podCidrs, b.podCidrs))

/** The part of a Node that the state of single Services depends on: topology hints and source ranges. */
export const sameNodeForServices = (a: Node | undefined, b: Node | undefined): boolean =>
  a === b ||
  (a !== undefined && b !== undefined && a.name === b.name && a.zone === b.zone && sameTexts(a.addresses, b.addresses))

export const sameServiceCidr = (a: ServiceCidr | undefined, b: ServiceCidr | undefined): boolean =>
  a === b || (a !== undefined && b !== undefined && sameTexts(a.cidrs, b.cidrs))

import { type Cidr, parseCidr } from '../../src/model/cidr.ts'
import { defaultConnections } from '../../src/model/connections.ts'
import type { Endpoint, EndpointPort, EndpointSlice } from '../../src/model/endpoint-slice.ts'
import { type IP, parseIP } from '../../src/model/ip.ts'
import { type ServiceKey, serviceKey, sliceKey } from '../../src/model/names.ts'
import type { Node } from '../../src/model/node.ts'
import { type Port, parsePort } from '../../src/model/port.ts'
import { nothingRequested } from '../../src/model/scheduling.ts'
import type { Service, ServicePort } from '../../src/model/service.ts'

/** Model objects for tests: what a test does not say has the API's default. */

const must = <T>(value: T | undefined, text: unknown): T => {
  if (value === undefined) throw new Error(`the test's own value is wrong: ${String(text)}`)
  return value
}

export const ip = (text: string): IP => must(parseIP(text), text)
export const cidr = (text: string): Cidr => must(parseCidr(text), text)
export const port = (value: number): Port => must(parsePort(value), value)

export const key = (text: string): ServiceKey => {
  const [namespace = '', name = ''] = text.split('/')
  return serviceKey(namespace, name)
}

export const servicePort = (over: Partial<ServicePort> = {}): ServicePort => ({
  name: '',
  protocol: 'TCP',
  port: port(80),
  nodePort: undefined,
  ...over,
})

export const service = (name: string, over: Partial<Service> = {}): Service => {
  const [namespace = '', bare = ''] = name.split('/')
  return {
    key: key(name),
    namespace,
    name: bare,
    uid: `uid-${name}`,
    created: 1_000,
    clusterIPs: [ip('10.96.0.1')],
    externalIPs: [],
    loadBalancerIPs: [],
    sourceRanges: [],
    ports: [servicePort()],
    internalPolicy: 'Cluster',
    externalPolicy: 'Cluster',
    affinitySeconds: undefined,
    healthCheckNodePort: undefined,
    scheduling: nothingRequested,
    connections: defaultConnections,
    ...over,
  }
}

export const endpoint = (address: string, over: Partial<Endpoint> = {}): Endpoint => ({
  ip: ip(address),
  ready: true,
  serving: true,
  terminating: false,
  nodeName: undefined,
  zone: undefined,
  podName: undefined,
  zoneHints: undefined,
  nodeHints: undefined,
  ...over,
})

export const endpointPort = (over: Partial<EndpointPort> = {}): EndpointPort => ({
  name: '',
  protocol: 'TCP',
  port: port(8080),
  ...over,
})

/** `ns/web-1` is a slice of Service `ns/web`. */
export const slice = (
  name: string,
  endpoints: readonly Endpoint[],
  over: Partial<EndpointSlice> = {},
): EndpointSlice => {
  const [namespace = '', bare = ''] = name.split('/')
  return {
    key: sliceKey(namespace, bare),
    service: serviceKey(namespace, bare.slice(0, bare.lastIndexOf('-'))),
    family: 'IPv4',
    ports: [endpointPort()],
    endpoints,
    triggeredAt: undefined,
    ...over,
  }
}

export const node = (over: Partial<Node> = {}): Node => ({
  name: 'here',
  addresses: [ip('192.0.2.10')],
  podCidrs: [],
  zone: undefined,
  leaving: false,
  ...over,
})

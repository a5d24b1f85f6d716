import type { Brand } from './brand.ts'
import { type Protocol, protocolWord } from './protocol.ts'

/** `namespace/name` of a Service. */
export type ServiceKey = Brand<string, 'ServiceKey'>
/** `namespace/name` of an EndpointSlice. */
export type SliceKey = Brand<string, 'SliceKey'>
/** kube-proxy's name for a service port: `namespace/name:port`, or `namespace/name` when the port has no name. */
export type ServicePortName = Brand<string, 'ServicePortName'>
/** A service port name with its protocol, `namespace/name:port/tcp`: the identity of a virtual server. */
export type ServicePortId = Brand<string, 'ServicePortId'>

export const serviceKey = (namespace: string, name: string): ServiceKey => `${namespace}/${name}` as ServiceKey
export const sliceKey = (namespace: string, name: string): SliceKey => `${namespace}/${name}` as SliceKey

export const servicePortName = (service: ServiceKey, port: string): ServicePortName =>
  (port === '' ? service : `${service}:${port}`) as ServicePortName

export const servicePortId = (name: ServicePortName, protocol: Protocol): ServicePortId =>
  `${name}/${protocolWord[protocol]}` as ServicePortId

import type { ServiceState } from '../model/desired.ts'
import type { Endpoint, EndpointSlice } from '../model/endpoint-slice.ts'
import type { IP } from '../model/ip.ts'
import type { Port } from '../model/port.ts'
import { forEachOffer } from './endpoints.ts'

/** An endpoint that a flow to a service port may lead to. */
export interface FlowTarget {
  readonly ip: IP
  readonly port: Port
  /**
   * What leads to it goes on: it serves, or gets traffic all the same (`publishNotReadyAddresses`). Policies, topology,
   * weights and whether it is ready decide about new flows only.
   */
  readonly live: boolean
  readonly terminating: boolean
}

/** All that slices offer to a service port, each once. What two of them describe is live, and terminating, if either says so. */
export const flowTargets = (
  { service, name, family, protocol }: Pick<ServiceState, 'service' | 'name' | 'family' | 'protocol'>,
  slices: Iterable<EndpointSlice>,
): Iterable<FlowTarget> => {
  const found = new Map<string, FlowTarget>()
  const portName = name.slice(service.length + 1)
  forEachOffer({ family, protocol, name: portName }, slices, (endpoint, port) => {
    const { ip, terminating } = endpoint
    const key = `${ip} ${port}`
    const other = found.get(key)
    const live = isLive(endpoint) || other?.live === true
    found.set(key, { ip, port, live, terminating: terminating || other?.terminating === true })
  })
  return found.values()
}

const isLive = ({ ready, serving }: Endpoint): boolean => serving || ready

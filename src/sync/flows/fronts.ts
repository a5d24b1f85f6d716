import { isLoopback } from '../../desired/node-ips.ts'
import type { ServiceState } from '../../model/desired.ts'
import { type FlowEnd, flowEnd } from '../../model/flow.ts'
import type { HostState } from '../../model/host.ts'
import { EndMap } from './end-map.ts'

/** Where a service port is asked for. A NodePort has the address that is all zeros: see {@link NodeAddresses}. */
export const frontsOf = ({
  clusterIP,
  externalIPs,
  loadBalancerIPs,
  nodePort,
  port,
}: ServiceState): readonly FlowEnd[] => {
  const fronts = [...externalIPs, ...loadBalancerIPs].map((ip) => flowEnd(ip, port))
  if (clusterIP !== undefined) fronts.push(flowEnd(clusterIP, port))
  if (nodePort !== undefined) fronts.push({ w0: 0, w1: 0, w2: 0, w3: 0, port: nodePort })
  return fronts
}

/** The node's addresses that take NodePorts: the same port of any other address is somebody else's. */
export class NodeAddresses {
  #addresses = new EndMap<true>()
  #text = ''

  /** Whether anything is different. `loopback`: whether the rules serve NodePorts there. */
  set({ nodePortAddresses, addresses }: HostState, loopback: boolean): boolean {
    const taking =
      nodePortAddresses.kind === 'some'
        ? nodePortAddresses.addresses
        : addresses.filter((ip) => loopback || !isLoopback(ip))
    const text = taking.join()
    if (text === this.#text) return false
    this.#text = text
    this.#addresses = new EndMap(taking.map((ip) => [flowEnd(ip, 0), true]))
    return true
  }

  /** What is asked for at an address and port: a virtual server, else a NodePort. */
  find<V>(fronts: EndMap<V>, destination: FlowEnd): V | undefined {
    const found = fronts.get(destination)
    if (found !== undefined || !this.#addresses.hasAt(destination, 0)) return found
    return fronts.getAnywhere(destination.port)
  }
}

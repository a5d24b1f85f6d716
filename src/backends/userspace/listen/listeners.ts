import { isLoopback } from '../../../desired/node-ips.ts'
import type { ServiceState } from '../../../model/desired.ts'
import type { HostState } from '../../../model/host.ts'
import type { IP } from '../../../model/ip.ts'
import { isLinkLocal, loopback, wildcard } from '../addresses.ts'
import { type Entrance, entrancesOf, fateOf, serverId } from '../entrances.ts'
import type { ForwardProtocol, ListenerSpec } from '../forward/forwarder.ts'
import type { PlannedListener } from '../service-layout.ts'

/**
 * The sockets of a service port where nothing is translated: a loopback port in place of its cluster IP, and its NodePort.
 * Without endpoints there is no socket, so that the kernel refuses.
 */
export const ownListeners = (
  state: ServiceState,
  host: HostState,
  loopbackPort: number | undefined,
): readonly PlannedListener[] => {
  const { protocol } = state
  if (protocol === 'SCTP') return []
  return entrancesOf(state).flatMap((entrance): readonly PlannedListener[] => {
    const { place, inside } = entrance
    switch (place.kind) {
      case 'clusterIP': {
        if (loopbackPort === undefined || fateOf(state, inside) !== 'served') return []
        const address = loopback[state.family]
        const spec: ListenerSpec = {
          ...base(state, protocol, 'loopback'),
          address,
          port: loopbackPort,
          server: serverId(state, inside),
          frontend: { ip: place.ip, port: place.port },
        }
        return [{ spec, otherPort: 'next' }]
      }
      case 'nodePort':
        return nodePortListeners(state, host, entrance, protocol, place.port)
      // Nobody routes these addresses to a socket.
      case 'externalIP':
      case 'loadBalancerIP':
        return []
      default:
        return place satisfies never
    }
  })
}

const base = ({ id, family }: ServiceState, protocol: ForwardProtocol, what: string) =>
  ({ id: `${id} ${family} ${what}`, protocol, near: undefined, frontend: undefined, redirected: false }) as const

const nodePortListeners = (
  state: ServiceState,
  host: HostState,
  { inside, outside }: Entrance,
  protocol: ForwardProtocol,
  port: number,
): readonly PlannedListener[] => {
  if (fateOf(state, inside) !== 'served' && fateOf(state, outside) !== 'served') return []
  const here = { clients: [...new Set([...host.addresses, loopback[host.family]])], server: serverId(state, inside) }
  return nodePortSockets(host, protocol).map((address) => ({
    spec: {
      ...base(state, protocol, `nodePort ${address}`),
      address,
      port,
      server: serverId(state, outside),
      near: inside === outside ? undefined : here,
    },
    otherPort: 'none',
  }))
}

/** Over UDP every address has a socket of its own: from a wildcard, answers might leave from another address. */
const nodePortSockets = (
  { family, nodePortAddresses, addresses }: HostState,
  protocol: ForwardProtocol,
): readonly IP[] => {
  if (nodePortAddresses.kind === 'some') return nodePortAddresses.addresses.filter((ip) => !isLinkLocal(ip))
  if (protocol === 'TCP') return [wildcard[family]]
  const usable = addresses.filter((ip) => !isLinkLocal(ip))
  return usable.some(isLoopback) ? usable : [...usable, loopback[family]]
}

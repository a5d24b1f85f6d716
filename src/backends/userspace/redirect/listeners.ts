import { isLoopback } from '../../../desired/node-ips.ts'
import type { ServiceState } from '../../../model/desired.ts'
import type { HostState } from '../../../model/host.ts'
import type { IP } from '../../../model/ip.ts'
import type { Port } from '../../../model/port.ts'
import { isLinkLocal, loopback } from '../addresses.ts'
import { serversOf } from '../entrances.ts'
import type { PlannedListener } from '../service-layout.ts'

/**
 * The address that traffic is translated to. Not the one of the interface it came by, which nft's `redirect` takes: an
 * interface of pods may have none, and answers over UDP leave from the address that the socket is bound to.
 */
export const socketAddress = ({ family, addresses }: Pick<HostState, 'family' | 'addresses'>): IP =>
  addresses.find((ip) => !isLoopback(ip) && !isLinkLocal(ip)) ?? loopback[family]

/** One socket for each virtual server. `portOf`: which port it had, and should have again; 0: any. */
export const redirectListeners = (
  state: ServiceState,
  host: HostState,
  portOf: (listener: string) => number,
): readonly PlannedListener[] => {
  const address = socketAddress(host)
  const frontend = frontendOf(state)
  return serversOf(state).map(({ id, protocol }) => ({
    spec: { id, protocol, address, port: portOf(id), server: id, near: undefined, frontend, redirected: true },
    otherPort: 'any',
  }))
}

/** What schedulers by destination take for the virtual server, whichever of its addresses was asked for. */
export const frontendOf = ({
  clusterIP,
  loadBalancerIPs,
  externalIPs,
  port,
}: ServiceState): { readonly ip: IP; readonly port: Port } | undefined => {
  const ip = clusterIP ?? loadBalancerIPs[0] ?? externalIPs[0]
  return ip === undefined ? undefined : { ip, port }
}

import type { RequestListener, Server } from 'node:http'
import { isIPv6 } from 'node:net'
import type { Port } from '../../model/port.ts'
import { ObserveError } from '../error.ts'
import { listen } from '../http/listen.ts'
import { closeServer, httpServer } from '../http/server.ts'

/** The port is open to the whole network: enough for any fleet of probes, too little to hurt the node. */
const maxConnections = 64

/** One port on a list of addresses: all of them listen, or none. */
export interface PortGroup {
  readonly port: Port
  close(): Promise<void>
}

/**
 * Opens `port` on every host. IPv6 hosts, `::` included, take IPv6 only. If one cannot be bound, those that could are
 * closed again.
 */
export const openPortGroup = async (
  hosts: readonly string[],
  port: Port,
  listener: RequestListener,
  onError: (error: unknown) => void,
): Promise<PortGroup | ObserveError> => {
  const servers: Server[] = []
  const close = async (): Promise<void> => {
    await Promise.all(servers.map(closeServer))
  }
  try {
    for (const host of hosts) {
      const server = httpServer(listener, { maxConnections })
      await listen(server, { host, port, ipv6Only: isIPv6(host) })
      server.on('error', onError)
      servers.push(server)
    }
  } catch (failure) {
    await close()
    if (failure instanceof ObserveError) return failure
    throw failure
  }
  return { port, close }
}

import type { Server } from 'node:http'
import { isIPv6 } from 'node:net'
import { errnoName, listenErrorCode, ObserveError } from '../error.ts'

export interface ListenAddress {
  /** A literal IP address. */
  readonly host: string
  /** 0 = any free port. */
  readonly port: number
  /** For IPv6 hosts: leave the IPv4 port to others. */
  readonly ipv6Only: boolean
}

/**
 * Binds and listens once, and resolves to the port. The server may be used again after a failure.
 *
 * @throws ObserveError
 */
export const listen = (server: Server, { host, port, ipv6Only }: ListenAddress): Promise<number> =>
  new Promise((resolve, reject) => {
    const settle = (): void => {
      server.off('listening', onListening)
      server.off('error', onError)
    }
    const onListening = (): void => {
      settle()
      const address = server.address()
      resolve(address !== null && typeof address === 'object' ? address.port : port)
    }
    const onError = (cause: Error): void => {
      settle()
      reject(new ObserveError(listenErrorCode(cause), `listen ${joinHostPort(host, port)}`, cause))
    }
    server.on('listening', onListening)
    server.on('error', onError)
    server.listen({ host, port, ipv6Only })
  })

const wildcards: ReadonlySet<string> = new Set(['0.0.0.0', '::'])

/**
 * Listens as Go's network "tcp" does: either wildcard accepts both families. Where the kernel has no IPv6, IPv4 alone.
 *
 * @throws ObserveError
 */
export const listenTcp = async (
  server: Server,
  host: string,
  port: number,
  listenOnce: typeof listen = listen,
): Promise<number> => {
  if (!wildcards.has(host)) return listenOnce(server, { host, port, ipv6Only: isIPv6(host) })
  try {
    return await listenOnce(server, { host: '::', port, ipv6Only: false })
  } catch (failure) {
    if (!lacksIPv6(failure)) throw failure
    return listenOnce(server, { host: '0.0.0.0', port, ipv6Only: false })
  }
}

const noFamily: ReadonlySet<string | undefined> = new Set(['EAFNOSUPPORT', 'EADDRNOTAVAIL', 'EPROTONOSUPPORT'])

const lacksIPv6 = (failure: unknown): boolean =>
  failure instanceof ObserveError && noFamily.has(errnoName(failure.cause))

/** `host:port`, with the brackets that IPv6 needs. */
export const joinHostPort = (host: string, port: number): string =>
  host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`

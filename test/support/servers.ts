import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { assertNever } from '../../src/model/assert-never.ts'
import { encodeLine, type Greeting, type Listen } from './host-protocol.ts'
import { listenSctp } from './raw-sctp.ts'

/** Stops listening, and ends what is still connected. */
export type Stop = () => void

/** Starts a server that greets as `name`; resolves when it accepts connections. */
export const serve = (name: string, { protocol, port }: Listen): Promise<Stop> => {
  switch (protocol) {
    case 'TCP':
      return serveHttp(name, port)
    case 'UDP':
      return serveUdp(name, port)
    case 'SCTP':
      return Promise.resolve(listenSctp(name, port))
    default:
      return assertNever(protocol, 'protocol')
  }
}

/** Sockets listen on `::` for both families, where an IPv4 peer shows as `::ffff:192.0.2.1`. */
const greeting = (name: string, peer: string | undefined, peerPort: number | undefined): Greeting => ({
  name,
  peer: (peer ?? '').replace(/^::ffff:/, ''),
  peerPort: peerPort ?? 0,
})

const serveHttp = async (name: string, port: number): Promise<Stop> => {
  const server = createServer((request, response) => {
    response.setHeader('content-type', 'application/json')
    response.end(encodeLine(greeting(name, request.socket.remoteAddress, request.socket.remotePort)))
  })
  // A held connection ends when its holder says so, not when a busy machine takes five seconds over something else.
  server.keepAliveTimeout = 600_000
  server.listen({ port, host: '::', backlog: 1024 })
  await once(server, 'listening')
  return () => {
    server.close()
    server.closeAllConnections()
  }
}

const serveUdp = async (name: string, port: number): Promise<Stop> => {
  const socket = createSocket('udp6')
  socket.on('message', (_, peer) => {
    socket.send(encodeLine(greeting(name, peer.address, peer.port)), peer.port, peer.address)
  })
  socket.bind(port, '::')
  await once(socket, 'listening')
  return () => socket.close()
}

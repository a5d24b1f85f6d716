import { closeSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import type { Packet } from '../../../algorithms/packet.ts'
import { duplicate, originalDestination } from '../../../kernel/inet/inet-socket.ts'
import { SocketError } from '../../../kernel/inet/socket-error.ts'
import { familyOf, parseIP } from '../../../model/ip.ts'
import type { Gated } from './descriptor-gate.ts'
import type { Frontend, ListenerSpec } from './forwarder.ts'
import { proxyHeader } from './proxy-header.ts'
import type { VirtualServer } from './virtual-server.ts'

/** Connections that wait to be accepted; the kernel takes the lower of it and net.core.somaxconn. */
export const backlog = 4096

export interface TcpListenerHooks {
  /** undefined: it is gone. */
  readonly serverOf: (id: string) => VirtualServer | undefined
  readonly accept: (client: Socket, server: VirtualServer, packet: Packet, preamble: Uint8Array | undefined) => void
  readonly refuse: (client: Socket) => void
  /** accept(2) got no descriptor. */
  readonly exhausted: () => void
}

/** Takes the connections of one listening socket, which it owns. */
export class TcpListener implements Gated {
  #spec: ListenerSpec
  readonly #hooks: TcpListenerHooks
  #nearClients: ReadonlySet<string>
  #descriptor: number
  /** undefined while paused. */
  #server: Server | undefined

  constructor(spec: ListenerSpec, descriptor: number, hooks: TcpListenerHooks) {
    this.#spec = spec
    this.#hooks = hooks
    this.#nearClients = new Set(spec.near?.clients)
    this.#descriptor = descriptor
    this.#server = this.#open()
  }

  /** What arrives from now on goes elsewhere. Protocol, address and port are as before. */
  retarget(spec: ListenerSpec): void {
    this.#spec = spec
    this.#nearClients = new Set(spec.near?.clients)
  }

  /** The socket stays open under another descriptor, so the kernel goes on queueing. Without one left this does nothing. */
  pause(): void {
    if (this.#server === undefined) return
    try {
      this.#descriptor = duplicate(this.#descriptor)
    } catch (error) {
      if (error instanceof SocketError) return
      throw error
    }
    this.#server.close()
    this.#server = undefined
  }

  resume(): void {
    this.#server ??= this.#open()
  }

  close(): void {
    if (this.#server === undefined) closeSync(this.#descriptor)
    else this.#server.close()
  }

  #open(): Server {
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true }, (client) =>
      this.#connected(client),
    )
    // The socket is bound and listens, so this is accept(2). Other reasons concern one connection only.
    server.on('error', ({ code }: NodeJS.ErrnoException) => {
      if (code === 'EMFILE' || code === 'ENFILE') this.#hooks.exhausted()
    })
    server.listen({ fd: this.#descriptor, backlog })
    return server
  }

  #connected(client: Socket): void {
    const { near, server: far, frontend, redirected } = this.#spec
    const isNear = near !== undefined && this.#nearClients.has(client.remoteAddress ?? '')
    const server = this.#hooks.serverOf(isNear ? near.server : far)
    if (server === undefined) {
      this.#hooks.refuse(client)
      return
    }
    const needsAddresses = server.spec.proxyProtocol || server.pool.needsClient
    // Asking for addresses is a system call each; most schedulers look at none.
    const ip = needsAddresses ? parseIP(client.remoteAddress ?? '') : this.#spec.address
    if (ip === undefined) {
      this.#hooks.refuse(client)
      return
    }
    const clientPort = needsAddresses ? (client.remotePort ?? 0) : 0
    const { pool, spec } = server
    const asked = spec.proxyProtocol || (redirected && pool.needsDestination) ? this.#asked(client) : undefined
    const destination = (redirected ? asked?.ip : undefined) ?? frontend?.ip ?? this.#spec.address
    const preamble =
      spec.proxyProtocol && asked !== undefined ? proxyHeader({ ip, port: clientPort }, asked) : undefined
    this.#hooks.accept(client, server, { client: ip, clientPort, destination }, preamble)
  }

  /** What the client connected to. */
  #asked(client: Socket): Frontend {
    const fd = this.#spec.redirected ? descriptorOf(client) : undefined
    const original = fd === undefined ? undefined : originalDestination(fd, familyOf(this.#spec.address))
    const arrived = { ip: parseIP(client.localAddress ?? '') ?? this.#spec.address, port: client.localPort ?? 0 }
    return original ?? this.#spec.frontend ?? arrived
  }
}

/** Node has no public way to the descriptor of a socket, and SO_ORIGINAL_DST is answered by nothing else. */
const descriptorOf = (socket: Socket): number | undefined => {
  const handle: unknown = Reflect.get(socket, '_handle')
  if (typeof handle !== 'object' || handle === null) return undefined
  const fd: unknown = Reflect.get(handle, 'fd')
  return typeof fd === 'number' && fd >= 0 ? fd : undefined
}

import type { RemoteInfo, Socket } from 'node:dgram'
import type { Packet } from '../../../algorithms/packet.ts'
import { familyOf, parseIP } from '../../../model/ip.ts'
import type { DescriptorGate } from './descriptor-gate.ts'
import type { Endpoint } from './endpoint.ts'
import type { ListenerSpec } from './forwarder.ts'
import type { ProcessCounters } from './process-counters.ts'
import { maxQueued, numericSocket, UdpLink } from './udp-session.ts'
import { admit, countIn, countOut, type VirtualServer } from './virtual-server.ts'

/** What the sessions of a thread share. */
export interface UdpContext {
  readonly process: ProcessCounters
  readonly gate: DescriptorGate
  readonly maxConnections: number | undefined
  readonly maxUdpSessions: number
  /** Counts up with every sweep. */
  tick: number
  /** No more sessions are begun. */
  draining: boolean
  /** undefined: it is gone. */
  readonly serverOf: (id: string) => VirtualServer | undefined
}

interface Session {
  readonly key: string
  readonly address: string
  readonly port: number
  readonly server: VirtualServer
  readonly packet: Packet
  /** undefined until the next datagram: the endpoint has refused. */
  link: UdpLink | undefined
  /** Not to be picked again at once. */
  refusedBy: Endpoint | undefined
  answered: boolean
  lastTick: number
}

/**
 * The sessions of one UDP socket, which it owns: one per client address and port, with a connected socket to an endpoint each.
 * Whatever comes back on that leaves through the listening socket. Every datagram either way keeps a session alive.
 */
export class UdpListener {
  #spec: ListenerSpec
  readonly #context: UdpContext
  readonly #socket: Socket
  readonly #sessions = new Map<string, Session>()
  /** Those that no endpoint has answered; the oldest comes first. */
  readonly #unanswered = new Set<Session>()
  #nearClients: ReadonlySet<string>
  #closed = false

  constructor(spec: ListenerSpec, descriptor: number, context: UdpContext) {
    this.#spec = spec
    this.#context = context
    this.#nearClients = new Set(spec.near?.clients)
    this.#socket = numericSocket(familyOf(spec.address) === 'IPv6')
    this.#socket.on('message', (datagram, from) => this.#received(datagram, from))
    // Errors of single datagrams (ICMP about a reply, for one) concern nobody else.
    this.#socket.on('error', () => {})
    this.#socket.bind({ fd: descriptor })
  }

  /** Sessions that begin from now on go elsewhere, those of other servers end. Protocol, address and port are as before. */
  retarget(spec: ListenerSpec): void {
    this.#spec = spec
    this.#nearClients = new Set(spec.near?.clients)
    const ids = new Set([spec.server, spec.near?.server])
    for (const session of this.#sessions.values()) if (!ids.has(session.server.spec.id)) this.#end(session)
  }

  /** Ends sessions that were idle for more than `idleTicks` (0: none), and those whose endpoint is no longer a target. */
  sweep(idleTicks: number): void {
    const oldest = idleTicks > 0 ? this.#context.tick - idleTicks : -1
    for (const session of this.#sessions.values()) {
      const gone = session.link !== undefined && !session.link.endpoint.current
      if (session.lastTick < oldest || gone) this.#end(session)
    }
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    for (const session of this.#sessions.values()) this.#end(session)
    this.#socket.close()
  }

  #received(datagram: Uint8Array, { address, port }: RemoteInfo): void {
    const key = `${address} ${port}`
    const session = this.#sessions.get(key) ?? this.#begin(key, address, port)
    if (session === undefined) return
    session.lastTick = this.#context.tick
    session.link ??= this.#link(session)
    if (session.link === undefined) return
    session.server.counters.countIn(datagram.length)
    session.link.endpoint.counters.countIn(datagram.length)
    session.link.send(datagram)
  }

  #begin(key: string, address: string, port: number): Session | undefined {
    const { near, server: far, frontend } = this.#spec
    const server = this.#context.serverOf(near !== undefined && this.#nearClients.has(address) ? near.server : far)
    // A zone is part of the address to answer to, but no part of an IP.
    const client = parseIP(address.split('%', 1)[0] ?? '')
    if (server === undefined || client === undefined || this.#context.draining) return undefined
    if (!this.#makeRoom()) {
      server.counters.countLimited()
      return undefined
    }
    if (!admit(server, 'inactive', this.#context.process, this.#context.maxConnections)) return undefined
    this.#context.gate.take(1)
    const packet = { client, clientPort: port, destination: frontend?.ip ?? this.#spec.address }
    const session: Session = {
      key,
      address,
      port,
      server,
      packet,
      link: undefined,
      refusedBy: undefined,
      answered: false,
      lastTick: this.#context.tick,
    }
    this.#sessions.set(key, session)
    this.#unanswered.add(session)
    return session
  }

  #makeRoom(): boolean {
    if (!this.#context.gate.open) return false
    if (this.#sessions.size < this.#context.maxUdpSessions) return true
    for (const oldest of this.#unanswered) {
      this.#end(oldest)
      return true
    }
    return false
  }

  #link(session: Session): UdpLink | undefined {
    const { server, refusedBy } = session
    const choice =
      server.pool.pick(session.packet, refusedBy === undefined ? [] : [refusedBy]) ??
      // The only one there is: it may be back.
      server.pool.pick(session.packet, [])
    if (choice === undefined) {
      server.counters.countFailed()
      this.#end(session)
      return undefined
    }
    countIn(choice.endpoint.counters, 'inactive')
    if (refusedBy === undefined) server.counters.countTotal()
    choice.endpoint.counters.countTotal()
    const link = new UdpLink(choice, {
      onReply: (datagram) => this.#reply(session, link, datagram),
      onFailure: (code) => this.#failed(session, link, code),
    })
    return link
  }

  #reply(session: Session, link: UdpLink, datagram: Uint8Array): void {
    if (session.link !== link) return
    session.lastTick = this.#context.tick
    if (!session.answered) {
      session.answered = true
      this.#unanswered.delete(session)
    }
    const { server } = session
    server.pool.succeeded(link.choice)
    server.counters.countOut(datagram.length)
    link.endpoint.counters.countOut(datagram.length)
    if (this.#socket.getSendQueueSize() > maxQueued) return
    this.#socket.send(datagram, session.port, session.address)
  }

  #failed(session: Session, link: UdpLink, code: string): void {
    if (session.link !== link) return
    const exhausted = code === 'EMFILE' || code === 'ENFILE'
    if (!exhausted) session.server.pool.failed(link.choice)
    countOut(link.endpoint.counters, 'inactive')
    session.link = undefined
    session.refusedBy = link.endpoint
    if (!exhausted) return
    this.#context.gate.close()
    this.#end(session)
  }

  #end(session: Session): void {
    if (!this.#sessions.delete(session.key)) return
    this.#unanswered.delete(session)
    if (session.link !== undefined) {
      countOut(session.link.endpoint.counters, 'inactive')
      session.link.close()
      session.link = undefined
    }
    const { process, gate } = this.#context
    process.addConnections(-1, true)
    countOut(session.server.counters, 'inactive')
    gate.give(1)
  }
}

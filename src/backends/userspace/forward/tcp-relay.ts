import { connect, type Socket } from 'node:net'
import type { Packet } from '../../../algorithms/packet.ts'
import type { Endpoint } from './endpoint.ts'
import type { Choice } from './pool.ts'
import type { ProcessCounters } from './process-counters.ts'
import { type Counting, countIn, countOut, type VirtualServer } from './virtual-server.ts'

/** What the connections of a thread share. */
export interface RelayContext {
  readonly connectTimeoutMs: number
  readonly attempts: number
  readonly process: ProcessCounters
  /** Counts up with every sweep: the clock of idle timeouts. */
  tick: number
  /** A connection to an endpoint got no descriptor. */
  readonly onExhausted: () => void
  readonly onClosed: (relay: TcpRelay) => void
}

/** Bytes that may wait for a slow reader before its peer is not read any more. What has been read by then comes on top: 128 KiB. */
const highWater = 128 * 1024

/** Failures of this machine, not of the endpoint. */
const local: ReadonlySet<string> = new Set(['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM', 'EADDRNOTAVAIL'])
const exhausted: ReadonlySet<string> = new Set(['EMFILE', 'ENFILE'])

/**
 * A client's connection and the one to an endpoint. The client is read once the endpoint is there, so any number of endpoints
 * can be tried. From then on bytes and FINs go each way by themselves; an error on one side resets the other.
 */
export class TcpRelay {
  readonly server: VirtualServer
  /** When the last byte passed. */
  lastTick: number
  readonly #client: Socket
  readonly #packet: Packet
  /** Goes to the endpoint before the client's bytes. */
  readonly #preamble: Uint8Array | undefined
  readonly #context: RelayContext
  readonly #tried: Endpoint[] = []
  #choice: Choice | undefined
  #upstream: Socket | undefined
  #connecting = false
  #timer: NodeJS.Timeout | undefined
  #counting: Counting = 'active'
  #clientGone = false
  #ending = false

  /** The client's socket is paused, and the server has admitted the connection. */
  constructor(
    client: Socket,
    server: VirtualServer,
    packet: Packet,
    preamble: Uint8Array | undefined,
    context: RelayContext,
  ) {
    this.server = server
    this.lastTick = context.tick
    this.#client = client
    this.#packet = packet
    this.#preamble = preamble
    this.#context = context
    client.on('error', () => this.abort())
    client.on('close', () => {
      this.#clientGone = true
      this.#settle()
    })
    this.#connect()
  }

  get endpoint(): Endpoint | undefined {
    return this.#choice?.endpoint
  }

  /** Resets both sides. */
  abort(): void {
    this.#finish(reset)
  }

  /** Closes both sides in good order: FIN, unless something is still unread. */
  end(): void {
    this.#finish((socket) => socket.destroy())
  }

  #finish(close: (socket: Socket) => void): void {
    if (this.#ending) return
    this.#ending = true
    this.#connecting = false
    clearTimeout(this.#timer)
    close(this.#client)
    if (this.#upstream !== undefined) close(this.#upstream)
  }

  #connect(): void {
    const choice =
      this.#tried.length < this.#context.attempts ? this.server.pool.pick(this.#packet, this.#tried) : undefined
    this.#choice = choice
    if (choice === undefined) {
      this.server.counters.countFailed()
      this.abort()
      return
    }
    const { endpoint } = choice
    this.#tried.push(endpoint)
    countIn(endpoint.counters, 'active')
    const upstream = connect({ host: endpoint.ip, port: endpoint.port, allowHalfOpen: true, noDelay: true })
    this.#upstream = upstream
    this.#connecting = true
    upstream.once('connect', () => this.#connected(upstream, choice))
    upstream.on('error', (error: NodeJS.ErrnoException) => {
      if (this.#upstream !== upstream) return
      if (this.#connecting) this.#refused(choice, error.code ?? '')
      else this.abort()
    })
    upstream.on('close', () => {
      if (this.#upstream !== upstream) return
      this.#upstream = undefined
      this.#settle()
    })
    const patience = this.#context.connectTimeoutMs
    if (patience > 0) this.#timer = setTimeout(() => this.#refused(choice, 'ETIMEDOUT'), patience)
  }

  #refused(choice: Choice, code: string): void {
    clearTimeout(this.#timer)
    const upstream = this.#upstream
    this.#connecting = false
    this.#upstream = undefined
    this.#choice = undefined
    upstream?.destroy()
    if (!local.has(code)) this.server.pool.failed(choice)
    countOut(choice.endpoint.counters, 'active')
    if (exhausted.has(code)) {
      this.#context.onExhausted()
      this.server.counters.countFailed()
      this.abort()
    } else this.#connect()
  }

  #connected(upstream: Socket, choice: Choice): void {
    if (!this.#connecting || this.#upstream !== upstream) return
    this.#connecting = false
    clearTimeout(this.#timer)
    const { server } = this
    const { counters } = choice.endpoint
    server.pool.succeeded(choice)
    server.counters.countTotal()
    counters.countTotal()
    this.lastTick = this.#context.tick
    if (this.#preamble !== undefined) upstream.write(this.#preamble)
    const client = this.#client
    client.on('data', (chunk: Uint8Array) => {
      server.counters.countIn(chunk.length)
      counters.countIn(chunk.length)
      this.#pass(chunk, client, upstream)
    })
    upstream.on('data', (chunk: Uint8Array) => {
      server.counters.countOut(chunk.length)
      counters.countOut(chunk.length)
      this.#pass(chunk, upstream, client)
    })
    client.on('drain', () => this.#drained(upstream))
    upstream.on('drain', () => this.#drained(client))
    client.on('end', () => this.#halfClosed(upstream))
    upstream.on('end', () => this.#halfClosed(client))
    client.resume()
  }

  #pass(chunk: Uint8Array, from: Socket, to: Socket): void {
    this.lastTick = this.#context.tick
    to.write(chunk)
    if (to.writableLength > highWater) from.pause()
  }

  /** All that waited has been written. */
  #drained(from: Socket): void {
    this.lastTick = this.#context.tick
    if (from.isPaused()) from.resume()
  }

  /** One side has sent its FIN; LVS counts the connection as inactive from now on. */
  #halfClosed(other: Socket): void {
    this.lastTick = this.#context.tick
    this.#recount('inactive')
    other.end()
  }

  #recount(as: Counting): void {
    if (this.#counting === as) return
    for (const counters of [this.server.counters, this.endpoint?.counters]) {
      if (counters === undefined) continue
      countIn(counters, as)
      countOut(counters, this.#counting)
    }
    this.#counting = as
  }

  /** A socket is gone. Once both are, so is the connection; a side that went without both FINs takes the other along. */
  #settle(): void {
    if (!this.#clientGone) {
      if (!this.#client.writableEnded) this.abort()
      return
    }
    if (this.#upstream !== undefined) {
      if (!this.#upstream.writableEnded) this.abort()
      return
    }
    if (this.#choice !== undefined) countOut(this.#choice.endpoint.counters, this.#counting)
    this.#choice = undefined
    countOut(this.server.counters, this.#counting)
    this.#context.onClosed(this)
  }
}

/**
 * Sends RST. Node cannot do that while a connection is being made, or between the last byte and the FIN (libuv's
 * uv_tcp_close_reset fails then): such a socket is only closed.
 */
export const reset = (socket: Socket): void => {
  if (socket.destroyed) return
  if (socket.connecting || (socket.writableEnded && !socket.writableFinished)) socket.destroy()
  else socket.resetAndDestroy()
}

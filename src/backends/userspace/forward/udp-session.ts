import { createSocket, type Socket } from 'node:dgram'
import { familyOf } from '../../../model/ip.ts'
import type { Endpoint } from './endpoint.ts'
import type { Choice } from './pool.ts'

/** Datagrams that wait while the socket is being connected, which takes a turn of the event loop. */
const maxWaiting = 64
/** Bytes that the kernel has not taken yet; beyond it datagrams are dropped, as a full queue of the kernel would. */
export const maxQueued = 1024 * 1024

/** Addresses are numbers already: nothing to look up. dgram asks its `lookup` before every datagram. */
const lookup = (
  name: string,
  _options: unknown,
  done: (error: NodeJS.ErrnoException | null, address: string, family: number) => void,
): void => done(null, name, name.includes(':') ? 6 : 4)

/** A UDP socket whose destinations are numeric. */
export const numericSocket = (v6: boolean): Socket => createSocket({ type: v6 ? 'udp6' : 'udp4', ipv6Only: v6, lookup })

export interface UdpLinkHooks {
  readonly onReply: (datagram: Uint8Array) => void
  /** The endpoint refuses (ICMP port unreachable and its like), or no socket was to be had. The link is closed. */
  readonly onFailure: (code: string) => void
}

/** A connected socket to the endpoint of one session. */
export class UdpLink {
  readonly choice: Choice
  readonly #socket: Socket
  readonly #hooks: UdpLinkHooks
  #waiting: Uint8Array[] | undefined = []
  #closed = false

  constructor(choice: Choice, hooks: UdpLinkHooks) {
    this.choice = choice
    this.#hooks = hooks
    const { ip, port } = choice.endpoint
    const socket = numericSocket(familyOf(ip) === 'IPv6')
    this.#socket = socket
    socket.on('message', (datagram) => {
      if (!this.#closed) hooks.onReply(datagram)
    })
    socket.on('error', (error: NodeJS.ErrnoException) => this.#fail(error))
    socket.connect(port, ip, (error?: NodeJS.ErrnoException) => {
      if (error === undefined) this.#connected()
      else this.#fail(error)
    })
  }

  get endpoint(): Endpoint {
    return this.choice.endpoint
  }

  send(datagram: Uint8Array): void {
    if (this.#closed) return
    if (this.#waiting !== undefined) {
      if (this.#waiting.length < maxWaiting) this.#waiting.push(datagram)
    } else if (this.#socket.getSendQueueSize() <= maxQueued) this.#socket.send(datagram, this.#sent)
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#waiting = undefined
    this.#socket.close()
  }

  #connected(): void {
    const waiting = this.#waiting ?? []
    this.#waiting = undefined
    for (const datagram of waiting) this.send(datagram)
  }

  readonly #sent = (error: Error | null): void => {
    if (error !== null) this.#fail(error)
  }

  #fail(error: NodeJS.ErrnoException): void {
    if (this.#closed) return
    // The datagram is too long for the path, or a filter on this machine drops it: the endpoint may be fine.
    if (error.code === 'EMSGSIZE' || error.code === 'EPERM') return
    this.close()
    this.#hooks.onFailure(error.code ?? '')
  }
}

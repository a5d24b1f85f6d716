import { overrun } from './acknowledgement.ts'
import { NLMSG_OVERRUN } from './constants.ts'
import { KernelError } from './error.ts'
import { openTransport, type TransportOptions, usualBuffers, type WakingTransport } from './transport.ts'
import { wakeOn } from './waker.ts'
import { MessageReader } from './wire.ts'

export interface SubscriptionOptions {
  /** NETLINK_* of linux/netlink.h. */
  readonly protocol: number
  /** Multicast groups to begin with, by number. */
  readonly groups: readonly number[]
  /** Bytes of events that may wait. Default 1 MiB. */
  readonly receiveBuffer?: number
  readonly open?: (options: TransportOptions) => WakingTransport
}

/** Called from the event loop, and by {@link Subscription.poll}; never while `subscribe` runs. */
export interface SubscriptionHandlers {
  /** One event. The view is valid during the call. */
  onMessage(message: MessageReader): void
  /**
   * Events were dropped (`overflow`), could not be understood (`malformed`), or `onMessage` threw: whoever follows a
   * state has to read it anew. Events that waited at the time of the loss were given to `onMessage` before; from now on
   * nothing is missing again, so what is read after this call plus the events from here on is complete.
   */
  onLost(error: KernelError): void
}

export interface Subscription {
  /** Of its socket. Notifications carry that of the socket whose request caused them, which is never this one. */
  readonly portId: number
  /** Further groups, or one that was left. */
  join(group: number): void
  /** What waits from this group is still delivered. */
  leave(group: number): void
  /** Delivers what waits now, instead of in the next turn of the event loop. Inside a handler it does nothing. */
  poll(): void
  close(): void
}

/**
 * Listens to multicast groups of this network namespace. Events wake the event loop (see `waker.ts`), and are read in
 * slices of a few milliseconds, so that a storm of them leaves room for other work. Does not keep the process alive.
 * Ends with `signal` or {@link Subscription.close}.
 *
 * @throws KernelError when the socket cannot be had: `permission`, `unsupported`, `invalid` for a group there is none of
 */
export const subscribe = (
  options: SubscriptionOptions,
  handlers: SubscriptionHandlers,
  signal: AbortSignal,
): Subscription => new SocketSubscription(options, handlers, signal)

class SocketSubscription implements Subscription {
  readonly #transport: WakingTransport
  readonly #handlers: SubscriptionHandlers
  readonly #signal: AbortSignal
  readonly #stopWaking: () => void
  /** The first loss that `onLost` has not heard of. */
  #loss: KernelError | undefined
  #reading = false
  #closed = false

  constructor(
    { protocol, groups, receiveBuffer = 1 << 20, open = openTransport }: SubscriptionOptions,
    handlers: SubscriptionHandlers,
    signal: AbortSignal,
  ) {
    signal.throwIfAborted()
    this.#handlers = handlers
    this.#signal = signal
    this.#transport = open({ protocol, groups, receiveBuffer })
    try {
      this.#stopWaking = wakeOn(this.#transport, (deadline) => this.#drain(deadline, Number.POSITIVE_INFINITY))
    } catch (error) {
      this.#transport.close()
      throw error
    }
    signal.addEventListener('abort', this.#close)
  }

  get portId(): number {
    return this.#transport.portId
  }

  join(group: number): void {
    this.#transport.join(group)
  }

  leave(group: number): void {
    this.#transport.leave(group)
  }

  poll(): void {
    // Whatever waits at the time of the call fits into the receive buffer, so this ends even when more keeps coming.
    const { receive } = this.#transport.buffers ?? usualBuffers
    this.#drain(Number.POSITIVE_INFINITY, receive)
  }

  close(): void {
    this.#close()
  }

  readonly #close = (): void => {
    if (this.#closed) return
    this.#closed = true
    this.#signal.removeEventListener('abort', this.#close)
    this.#stopWaking()
    this.#transport.close()
  }

  /** Until nothing waits, `deadline` has passed or `most` bytes were read; whether something may be left. */
  #drain(deadline: number, most: number): boolean {
    if (this.#reading) return true
    this.#reading = true
    try {
      for (let bytes = 0; bytes <= most && !this.#closed; ) {
        const datagram = this.#receive()
        if (datagram === undefined) {
          this.#reportLoss()
          return false
        }
        bytes += datagram.length
        this.#deliver(datagram)
        if (performance.now() > deadline) return true
      }
      return true
    } finally {
      this.#reading = false
    }
  }

  /** Empty when only a loss was heard of. */
  #receive(): Uint8Array | undefined {
    try {
      return this.#transport.receive()
    } catch (error) {
      this.#lose(error)
      // Any other failure says nothing about what waits, and asking again would not end.
      return error instanceof KernelError && error.code === 'overflow' ? nothing : undefined
    }
  }

  #deliver(datagram: Uint8Array): void {
    try {
      const messages = new MessageReader(datagram)
      while (!this.#closed && messages.next())
        if (messages.type === NLMSG_OVERRUN) this.#lose(overrun('receive netlink event'))
        else this.#handlers.onMessage(messages)
    } catch (error) {
      this.#lose(error)
    }
  }

  #lose(error: unknown): void {
    this.#loss ??=
      error instanceof KernelError
        ? error
        : new KernelError({ code: 'io', op: 'handle netlink event', detail: String(error), cause: error })
  }

  /** Only when nothing waits any more: until then the kernel goes on dropping, without telling again. */
  #reportLoss(): void {
    const loss = this.#loss
    if (loss === undefined || this.#closed) return
    this.#loss = undefined
    try {
      this.#handlers.onLost(loss)
    } catch (error) {
      // A fault of the program, and none of the other subscriptions'.
      setImmediate(() => {
        throw error
      })
    }
  }
}

const nothing = new Uint8Array()

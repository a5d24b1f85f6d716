import { closeSync, readSync, writeSync } from 'node:fs'
import { libc } from '../libc.ts'
import { KernelError, systemErrno } from './error.ts'

/** A netlink socket: whole datagrams in and out, never blocking. */
export interface Transport {
  /** The address that the kernel gave to this socket; notifications carry that of the socket that caused them. */
  readonly portId: number
  /**
   * One datagram. The kernel handles a request inside this call: when it returns, the replies are waiting (of a dump,
   * the first part). Throws `tooLarge` when the datagram exceeds the send buffer.
   */
  send(bytes: Uint8Array): void
  /**
   * The same on a thread, for datagrams that take the kernel long. `bytes` must not change meanwhile. A send that has
   * begun cannot be stopped: `signal` counts only before that.
   */
  sendAsync(bytes: Uint8Array, signal: AbortSignal): Promise<void>
  /** The next datagram, or undefined when none waits. The view is valid until the next call. Throws `overflow`. */
  receive(): Uint8Array | undefined
  /** Joins or leaves a multicast group, by number. */
  join(group: number): void
  leave(group: number): void
  close(): void
}

export interface TransportOptions {
  /** NETLINK_* of linux/netlink.h. */
  readonly protocol: number
  /** Multicast groups, by number. */
  readonly groups?: readonly number[]
  /** Bytes. A datagram must fit. The kernel books twice as much. */
  readonly sendBuffer?: number
  /** Bytes. Replies and events beyond it are lost, and reported as `overflow`. */
  readonly receiveBuffer?: number
}

const AF_NETLINK = 16
const SOCK_RAW = 3
const SOCK_NONBLOCK = 0x800
const SOCK_CLOEXEC = 0x80000
const SOL_SOCKET = 1
const SO_SNDBUF = 7
const SO_RCVBUF = 8
const SO_SNDBUFFORCE = 32
const SO_RCVBUFFORCE = 33
const SOL_NETLINK = 270
const NETLINK_ADD_MEMBERSHIP = 1
const NETLINK_DROP_MEMBERSHIP = 2
const NETLINK_CAP_ACK = 10
const NETLINK_EXT_ACK = 11

const EAGAIN = 11
const EINTR = 4

/** The kernel makes datagrams of at most 32 KiB for dumps and one page or so for anything else. */
const receiveSize = 128 * 1024

class Socket implements Transport {
  readonly portId: number
  readonly #fd: number
  readonly #buffer = new Uint8Array(receiveSize)
  #closed = false

  constructor({ protocol, groups = [], sendBuffer, receiveBuffer }: TransportOptions) {
    this.#fd = libc().socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol)
    if (this.#fd < 0) throw KernelError.ofErrno('socket(AF_NETLINK)', libc().errno())
    try {
      this.#option(SOL_NETLINK, NETLINK_CAP_ACK, 1)
      this.#option(SOL_NETLINK, NETLINK_EXT_ACK, 1)
      if (sendBuffer !== undefined) this.#bufferSize(SO_SNDBUFFORCE, SO_SNDBUF, sendBuffer)
      if (receiveBuffer !== undefined) this.#bufferSize(SO_RCVBUFFORCE, SO_RCVBUF, receiveBuffer)
      this.portId = this.#bind()
      for (const group of groups) this.join(group)
    } catch (error) {
      this.close()
      throw error
    }
  }

  send(bytes: Uint8Array): void {
    let sent: number
    try {
      sent = writeSync(this.#fd, bytes)
    } catch (error) {
      throw KernelError.ofSystem('send netlink datagram', error)
    }
    this.#whole(sent, bytes)
  }

  async sendAsync(bytes: Uint8Array, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    const sent = await new Promise<number>((resolve, reject) => {
      libc().send.async(this.#fd, bytes, bytes.length, 0, (error: unknown, result: number) => {
        // errno belongs to the thread that made the call, and koffi restores it only inside this callback.
        if (error) reject(KernelError.ofSystem('send netlink datagram', error))
        else if (result < 0) reject(KernelError.ofErrno('send netlink datagram', libc().errno()))
        else resolve(result)
      })
    })
    this.#whole(sent, bytes)
  }

  receive(): Uint8Array | undefined {
    for (;;) {
      try {
        const length = readSync(this.#fd, this.#buffer)
        // recv() cuts a longer datagram silently.
        if (length === receiveSize)
          throw new KernelError({ code: 'overflow', op: 'receive netlink datagram', detail: 'datagram too long' })
        return this.#buffer.subarray(0, length)
      } catch (error) {
        const errno = systemErrno(error)
        if (error instanceof KernelError) throw error
        if (errno === EAGAIN) return undefined
        if (errno !== EINTR) throw KernelError.ofSystem('receive netlink datagram', error)
      }
    }
  }

  join(group: number): void {
    this.#option(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group)
  }

  leave(group: number): void {
    this.#option(SOL_NETLINK, NETLINK_DROP_MEMBERSHIP, group)
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    closeSync(this.#fd)
  }

  #bind(): number {
    const address = new DataView(new ArrayBuffer(12))
    address.setUint16(0, AF_NETLINK, libc().littleEndian)
    const bytes = new Uint8Array(address.buffer)
    if (libc().bind(this.#fd, bytes, bytes.length) < 0) throw KernelError.ofErrno('bind(AF_NETLINK)', libc().errno())
    const size = new Uint32Array([bytes.length])
    if (libc().getsockname(this.#fd, bytes, size) < 0) throw KernelError.ofErrno('getsockname', libc().errno())
    return address.getUint32(4, libc().littleEndian)
  }

  #option(level: number, option: number, value: number): void {
    const bytes = new Uint8Array(new Int32Array([value]).buffer)
    if (libc().setsockopt(this.#fd, level, option, bytes, bytes.length) < 0)
      throw KernelError.ofErrno(`setsockopt(${level}, ${option}, ${value})`, libc().errno())
  }

  /** Beyond net.core.?mem_max only with CAP_NET_ADMIN in the first user namespace; else as much as is allowed. */
  #bufferSize(force: number, plain: number, bytes: number): void {
    try {
      this.#option(SOL_SOCKET, force, bytes)
    } catch {
      this.#option(SOL_SOCKET, plain, bytes)
    }
  }

  #whole(sent: number, bytes: Uint8Array): void {
    if (sent !== bytes.length)
      throw new KernelError({
        code: 'io',
        op: 'send netlink datagram',
        detail: `${sent} of ${bytes.length} bytes were taken`,
      })
  }
}

export const openTransport = (options: TransportOptions): Transport => new Socket(options)

import { closeSync, writeSync } from 'node:fs'
import { libc } from '../libc.ts'
import { KernelError } from './error.ts'

/** A netlink socket: whole datagrams in and out, never blocking. */
export interface Transport {
  /** The address that the kernel gave to this socket; notifications carry that of the socket that caused them. */
  readonly portId: number
  /** Absent: those of a socket that nobody sized, {@link usualBuffers}. */
  readonly buffers?: Buffers
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
  /**
   * The next datagram of the kernel, or undefined when none waits. The view is valid until the next call. Throws
   * `overflow` when datagrams were dropped (ENOBUFS) or one was longer than the buffer it was read into. The kernel keeps
   * dropping until everything that still waits has been read.
   */
  receive(): Uint8Array | undefined
  /**
   * The same on a thread, for the next part of a dump that the kernel may take long to put together. Neither another call
   * nor {@link close} may come before it has ended.
   */
  receiveAsync?(): Promise<Uint8Array | undefined>
  /** Joins or leaves a multicast group, by number. */
  join(group: number): void
  leave(group: number): void
  close(): void
}

/** What the kernel granted: bytes as it books them, twice what was asked for (socket(7)). */
export interface Buffers {
  /** A datagram may have {@link sendOverhead} bytes less. */
  readonly send: number
  /** Of the datagrams that wait, each with some 500 to 1,000 bytes of overhead. */
  readonly receive: number
}

/** net.core.wmem_default and rmem_default as almost every kernel has them. */
export const usualBuffers: Buffers = { send: 212_992, receive: 212_992 }
/** netlink_sendmsg() of net/netlink/af_netlink.c. */
export const sendOverhead = 32

/** A transport that can tell when something arrives. */
export interface WakingTransport extends Transport {
  /**
   * From now on the kernel sends `signal`, a number, to this process whenever a datagram arrives or is dropped: fcntl(2),
   * F_SETSIG and O_ASYNC.
   */
  wakeBy(signal: number): void
}

export interface TransportOptions {
  /** NETLINK_* of linux/netlink.h. */
  readonly protocol: number
  /** Multicast groups, by number. */
  readonly groups?: readonly number[]
  /**
   * Bytes. A datagram must fit. More than net.core.wmem_max takes CAP_NET_ADMIN in the first user namespace; without it
   * that much is granted and no more, see {@link Transport.buffers}.
   */
  readonly sendBuffer?: number
  /** Dumps are filtered in the kernel as their requests say, where it can (rtnetlink, since Linux 4.20). */
  readonly strictDumps?: boolean
  /** Bytes, within net.core.rmem_max likewise. Replies and events beyond it are lost, and reported as `overflow`. */
  readonly receiveBuffer?: number
  /**
   * Bytes of the longest datagram to expect. A longer one is an `overflow`, once: then there is room for it. Default
   * 128 KiB: the kernel makes at most 32 KiB for dumps and one page or so for almost anything else.
   */
  readonly longest?: number
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
const NETLINK_GET_STRICT_CHK = 12

/** fcntl(2), of asm-generic/fcntl.h. */
const F_GETFL = 3
const F_SETFL = 4
const F_SETOWN = 8
const F_SETSIG = 10
const O_ASYNC = 0x2000

const EAGAIN = 11
const EINTR = 4
const ENOPROTOOPT = 92

/** recvfrom() answers with the length that a datagram has, even where it was cut. */
const MSG_TRUNC = 0x20

/** Of struct sockaddr_nl: family, padding, port id, groups. */
const addressLength = 12

class Socket implements WakingTransport {
  readonly portId: number
  readonly buffers: Buffers
  readonly #fd: number
  #buffer: Uint8Array
  readonly #sender = new DataView(new ArrayBuffer(addressLength))
  readonly #senderBytes = new Uint8Array(this.#sender.buffer)
  readonly #senderLength = new Uint32Array(1)
  #closed = false

  constructor({
    protocol,
    groups = [],
    sendBuffer,
    receiveBuffer,
    longest = 128 * 1024,
    strictDumps = false,
  }: TransportOptions) {
    this.#buffer = new Uint8Array(longest)
    this.#fd = libc().socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol)
    if (this.#fd < 0) throw KernelError.ofErrno('socket(AF_NETLINK)', libc().errno())
    try {
      this.#option(SOL_NETLINK, NETLINK_CAP_ACK, 1)
      this.#option(SOL_NETLINK, NETLINK_EXT_ACK, 1)
      if (strictDumps) this.#filterDumps()
      if (sendBuffer !== undefined) this.#bufferSize(SO_SNDBUFFORCE, SO_SNDBUF, sendBuffer)
      if (receiveBuffer !== undefined) this.#bufferSize(SO_RCVBUFFORCE, SO_RCVBUF, receiveBuffer)
      this.buffers = { send: this.#sizeOf(SO_SNDBUF), receive: this.#sizeOf(SO_RCVBUF) }
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
      this.#senderLength[0] = addressLength
      const buffer = this.#buffer
      const length = libc().recvfrom(this.#fd, buffer, buffer.length, MSG_TRUNC, this.#senderBytes, this.#senderLength)
      const received = this.#received(length, length < 0 ? libc().errno() : 0)
      if (received !== 'again') return received
    }
  }

  async receiveAsync(): Promise<Uint8Array | undefined> {
    for (;;) {
      this.#senderLength[0] = addressLength
      const buffer = this.#buffer
      const received = await new Promise<Uint8Array | 'again' | undefined>((resolve, reject) => {
        const done = (error: unknown, length: number): void => {
          try {
            if (error) throw KernelError.ofSystem('receive netlink datagram', error)
            resolve(this.#received(length, length < 0 ? libc().errno() : 0))
          } catch (cause) {
            reject(cause)
          }
        }
        libc().recvfrom.async(
          ...([this.#fd, buffer, buffer.length, MSG_TRUNC, this.#senderBytes, this.#senderLength] as const),
          done,
        )
      })
      if (received !== 'again') return received
    }
  }

  /** What to make of what recvfrom() answered; undefined when nothing waits. */
  #received(length: number, errno: number): Uint8Array | 'again' | undefined {
    if (length < 0) {
      if (errno === EAGAIN) return undefined
      if (errno === EINTR) return 'again'
      throw KernelError.ofErrno('receive netlink datagram', errno)
    }
    // Programs may write to one another's netlink sockets too; the kernel's port id is 0.
    if (this.#sender.getUint32(4, libc().littleEndian) !== 0) return 'again'
    if (length > this.#buffer.length) throw this.#tooLong(length)
    return this.#buffer.subarray(0, length)
  }

  join(group: number): void {
    this.#option(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group)
  }

  leave(group: number): void {
    this.#option(SOL_NETLINK, NETLINK_DROP_MEMBERSHIP, group)
  }

  wakeBy(signal: number): void {
    this.#control(F_SETOWN, process.pid)
    // Before O_ASYNC: without it the signal is SIGIO, which ends a process that does not expect it.
    this.#control(F_SETSIG, signal)
    this.#control(F_SETFL, this.#control(F_GETFL, 0) | O_ASYNC)
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    closeSync(this.#fd)
  }

  #bind(): number {
    const address = new DataView(new ArrayBuffer(addressLength))
    address.setUint16(0, AF_NETLINK, libc().littleEndian)
    const bytes = new Uint8Array(address.buffer)
    if (libc().bind(this.#fd, bytes, bytes.length) < 0) throw KernelError.ofErrno('bind(AF_NETLINK)', libc().errno())
    const size = new Uint32Array([bytes.length])
    if (libc().getsockname(this.#fd, bytes, size) < 0) throw KernelError.ofErrno('getsockname', libc().errno())
    return address.getUint32(4, libc().littleEndian)
  }

  #control(command: number, value: number): number {
    const result = libc().fcntl(this.#fd, command, 'int', value)
    if (result < 0) throw KernelError.ofErrno(`fcntl(${command}, ${value})`, libc().errno())
    return result
  }

  #sizeOf(option: number): number {
    const value = new Int32Array(1)
    const bytes = new Uint8Array(value.buffer)
    if (libc().getsockopt(this.#fd, SOL_SOCKET, option, bytes, new Uint32Array([bytes.length])) < 0)
      throw KernelError.ofErrno(`getsockopt(${SOL_SOCKET}, ${option})`, libc().errno())
    return value[0] ?? 0
  }

  /** The next one of this length fits. */
  #tooLong(length: number): KernelError {
    const detail = `a datagram of ${length} bytes where ${this.#buffer.length} were expected`
    this.#buffer = new Uint8Array(length)
    return new KernelError({ code: 'overflow', op: 'receive netlink datagram', detail })
  }

  #filterDumps(): void {
    try {
      this.#option(SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1)
    } catch (error) {
      if (!(error instanceof KernelError) || error.errno !== ENOPROTOOPT) throw error
    }
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
    } catch (error) {
      if (!(error instanceof KernelError) || error.code !== 'permission') throw error
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

export const openTransport = (options: TransportOptions): WakingTransport => new Socket(options)

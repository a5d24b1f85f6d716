import { closeSync, writeSync } from 'node:fs'
import koffi from 'koffi'
import { type Family, parseIP, readIP, writeIP } from '../../src/model/ip.ts'

/** Linux values for x86 and arm (bits/socket.h, asm-generic/errno.h). */
const AF = { IPv4: 2, IPv6: 10 } as const satisfies Record<Family, number>
const SOCK_RAW = 3
const SOCK_NONBLOCK = 0o4000
const SOCK_CLOEXEC = 0o2000000
const EAGAIN = 11
const ECONNREFUSED = 111

// null = the symbols of this very process, whatever its C library is called.
const libc = koffi.load(null)
const openSocket: (domain: number, type: number, protocol: number) => number = libc.func(
  'int socket(int domain, int type, int protocol)',
)
const connectSocket: (fd: number, address: Uint8Array, length: number) => number = libc.func(
  'int connect(int fd, const uint8_t *address, uint32_t length)',
)
const receiveFrom: (
  fd: number,
  into: Uint8Array,
  length: number,
  flags: number,
  address: Uint8Array,
  addressLength: Uint32Array,
) => number = libc.func(
  'intptr_t recvfrom(int fd, _Out_ uint8_t *into, size_t length, int flags, _Out_ uint8_t *address, _Inout_ uint32_t *addressLength)',
)

export type Received =
  | { readonly kind: 'packet'; readonly from: string; readonly payload: Uint8Array }
  | { readonly kind: 'nothing' }
  | { readonly kind: 'refused' }

/** A raw IP socket of one transport protocol, for those that this kernel has no sockets for. Needs CAP_NET_RAW. */
export class RawSocket {
  readonly #family: Family
  readonly #fd: number

  constructor(family: Family, protocol: number) {
    this.#family = family
    this.#fd = openSocket(AF[family], SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol)
    if (this.#fd < 0) throw new Error(`raw ${family} socket: errno ${koffi.errno()}`)
  }

  /** From now on sends to `address`, receives from it alone, and hears of ICMP errors. */
  connect(address: string): void {
    const bytes = socketAddress(this.#family, address)
    if (connectSocket(this.#fd, bytes, bytes.length) < 0) throw new Error(`connect ${address}: errno ${koffi.errno()}`)
  }

  send(payload: Uint8Array): void {
    writeSync(this.#fd, payload)
  }

  receive(): Received {
    const buffer = new Uint8Array(2048)
    const address = new Uint8Array(28)
    const length = receiveFrom(this.#fd, buffer, buffer.length, 0, address, Uint32Array.of(address.length))
    if (length >= 0) return { kind: 'packet', from: this.#peer(address), payload: this.#payload(buffer, length) }
    const errno = koffi.errno()
    if (errno === EAGAIN) return { kind: 'nothing' }
    if (errno === ECONNREFUSED) return { kind: 'refused' }
    throw new Error(`recvfrom: errno ${errno}`)
  }

  close(): void {
    closeSync(this.#fd)
  }

  #peer(address: Uint8Array): string {
    return readIP(this.#family, address, this.#family === 'IPv4' ? 4 : 8)
  }

  /** raw(7): IPv4 sockets hand over the IP header, IPv6 sockets do not. */
  #payload(buffer: Uint8Array, length: number): Uint8Array {
    const header = this.#family === 'IPv4' ? 4 * ((buffer[0] ?? 0) & 0x0f) : 0
    return buffer.slice(header, length)
  }
}

/** sockaddr_in or sockaddr_in6 (linux/in.h, linux/in6.h) with port 0. */
const socketAddress = (family: Family, address: string): Uint8Array => {
  const ip = parseIP(address)
  if (ip === undefined) throw new TypeError(`no address: ${address}`)
  const bytes = new Uint8Array(family === 'IPv4' ? 16 : 28)
  new DataView(bytes.buffer).setUint16(0, AF[family], true)
  writeIP(ip, bytes, family === 'IPv4' ? 4 : 8)
  return bytes
}

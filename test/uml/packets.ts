import koffi from 'koffi'
import { type Family, familyOf, type IP, writeIP } from '../../src/model/ip.ts'

/** linux/socket.h, asm-generic/socket.h, linux/in.h; errno.h */
const AF = { IPv4: 2, IPv6: 10 } as const
const SOCK_RAW = 3
const IPPROTO_RAW = 255
const SOL_SOCKET = 1
const SO_MARK = 36
const EPERM = 1

const libc = koffi.load(null)
const socket: (domain: number, type: number, protocol: number) => number = libc.func('int socket(int, int, int)')
const setsockopt: (fd: number, level: number, option: number, value: Uint32Array, length: number) => number = libc.func(
  'int setsockopt(int, int, int, void *, uint32_t)',
)
const sendto: (fd: number, bytes: Uint8Array, size: number, flags: number, to: Uint8Array, length: number) => number =
  libc.func('long sendto(int, void *, size_t, int, void *, uint32_t)')

/** What a packet says: the flags of TCP (RFC 9293 3.1), or that it is one of UDP. */
const flags = { syn: 0x02, ack: 0x10, fin: 0x11, udp: 0 } as const

export type PacketKind = keyof typeof flags

export interface Tuple {
  readonly client: IP
  readonly clientPort: number
  readonly destination: IP
  readonly port: number
}

/**
 * Sends packets whose IP header is ours, from any address. Checksums of TCP and UDP stay empty: nobody receives them, and
 * IPVS does not look at them when it forwards by direct routing.
 */
export class PacketSender {
  readonly #fd: number
  readonly #family: Family

  /** `mark`: the firewall mark of every packet; 0 for none. */
  constructor(family: Family, mark: number) {
    this.#family = family
    this.#fd = socket(AF[family], SOCK_RAW, IPPROTO_RAW)
    if (this.#fd < 0) throw new Error(`raw ${family} socket: errno ${koffi.errno()}`)
    if (setsockopt(this.#fd, SOL_SOCKET, SO_MARK, Uint32Array.of(mark), 4) < 0)
      throw new Error(`SO_MARK: errno ${koffi.errno()}`)
  }

  /** IPVS handles the packet inside this call. Returns whether it passed: false is a packet that was dropped. */
  send(kind: PacketKind, tuple: Tuple): boolean {
    const bytes = this.#family === 'IPv4' ? packet4(kind, tuple) : packet6(kind, tuple)
    const to = socketAddress(tuple.destination)
    if (sendto(this.#fd, bytes, bytes.length, 0, to, to.length) === bytes.length) return true
    const errno = koffi.errno()
    if (errno === EPERM) return false
    throw new Error(`sendto ${tuple.destination}: errno ${errno}`)
  }
}

/** RFC 791 3.1. The kernel fills in the identification and the checksum (raw(7)). */
const packet4 = (kind: PacketKind, tuple: Tuple): Uint8Array => {
  const payload = transport(kind, tuple)
  const bytes = new Uint8Array(20 + payload.length)
  const view = new DataView(bytes.buffer)
  bytes[0] = 0x45
  view.setUint16(2, bytes.length)
  bytes[8] = 64
  bytes[9] = protocolOf(kind)
  writeIP(tuple.client, bytes, 12)
  writeIP(tuple.destination, bytes, 16)
  bytes.set(payload, 20)
  return bytes
}

/** RFC 8200 3. */
const packet6 = (kind: PacketKind, tuple: Tuple): Uint8Array => {
  const payload = transport(kind, tuple)
  const bytes = new Uint8Array(40 + payload.length)
  bytes[0] = 0x60
  new DataView(bytes.buffer).setUint16(4, payload.length)
  bytes[6] = protocolOf(kind)
  bytes[7] = 64
  writeIP(tuple.client, bytes, 8)
  writeIP(tuple.destination, bytes, 24)
  bytes.set(payload, 40)
  return bytes
}

const protocolOf = (kind: PacketKind): number => (kind === 'udp' ? 17 : 6)

/** A header of TCP without options or of UDP (RFC 768), and no data. */
const transport = (kind: PacketKind, { clientPort, port }: Tuple): Uint8Array => {
  const bytes = new Uint8Array(kind === 'udp' ? 8 : 20)
  const view = new DataView(bytes.buffer)
  view.setUint16(0, clientPort)
  view.setUint16(2, port)
  if (kind === 'udp') view.setUint16(4, bytes.length)
  else {
    bytes[12] = 5 << 4
    bytes[13] = flags[kind]
    view.setUint16(14, 0xffff)
  }
  return bytes
}

/** sockaddr_in or sockaddr_in6 with port 0. */
const socketAddress = (ip: IP): Uint8Array => {
  const family = familyOf(ip)
  const bytes = new Uint8Array(family === 'IPv4' ? 16 : 28)
  new Uint16Array(bytes.buffer, 0, 1)[0] = AF[family]
  writeIP(ip, bytes, family === 'IPv4' ? 4 : 8)
  return bytes
}

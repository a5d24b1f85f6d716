import { closeSync } from 'node:fs'
import { endianness } from 'node:os'
import koffi from 'koffi'
import { type Family, familyOf, type IP } from '../../model/ip.ts'
import { libc } from '../libc.ts'
import { byClientAddress, encodeProgram } from './reuse-port-program.ts'
import { AF_INET, AF_INET6, decodeSockaddr, encodeSockaddr, sockaddrBytes } from './socket-address.ts'
import { SocketError } from './socket-error.ts'

const SOCK_STREAM = 1
const SOCK_DGRAM = 2
const SOCK_NONBLOCK = 0x800
const SOCK_CLOEXEC = 0x80000
const SOL_SOCKET = 1
const SO_REUSEADDR = 2
const SO_REUSEPORT = 15
const SO_ATTACH_REUSEPORT_CBPF = 51
const IPPROTO_IP = 0
const IPPROTO_IPV6 = 41
const IPV6_V6ONLY = 26
/** SO_ORIGINAL_DST and IP6T_SO_ORIGINAL_DST (linux/netfilter_ipv4.h, linux/netfilter_ipv6/ip6_tables.h). */
const ORIGINAL_DST = 80
const F_DUPFD_CLOEXEC = 1030

export interface ListeningSockets {
  /** One per socket, in the order in which the kernel numbers them; non-blocking. The caller closes them. */
  readonly descriptors: readonly number[]
  readonly port: number
}

export interface ListeningSpec {
  readonly protocol: 'TCP' | 'UDP'
  /** `::` takes no IPv4. */
  readonly address: IP
  /** 0: any. */
  readonly port: number
  /** How many sockets share the port (SO_REUSEPORT); the kernel spreads connections over them. */
  readonly sockets: number
  /** Spread by the client's address alone, so that a client always comes to the same socket. */
  readonly byClient: boolean
  readonly backlog: number
}

/**
 * Opens sockets for one address and port. Nobody else may have the port, not even who would share it: the first socket is
 * bound before sharing is switched on. @throws SocketError with the errno's name, and nothing stays open
 */
export const openListening = (spec: ListeningSpec): ListeningSockets => {
  const descriptors: number[] = []
  try {
    let { port } = spec
    for (let i = 0; i < spec.sockets; i++) {
      const fd = openSocket(spec)
      descriptors.push(fd)
      if (i > 0) setOption(fd, SOL_SOCKET, SO_REUSEPORT, 1)
      check('bind', bindTo(fd, spec.address, port))
      if (i === 0 && spec.sockets > 1) setOption(fd, SOL_SOCKET, SO_REUSEPORT, 1)
      port = localPort(fd)
    }
    if (spec.protocol === 'TCP') for (const fd of descriptors) check('listen', libc().listen(fd, spec.backlog))
    const [first] = descriptors
    if (spec.byClient && spec.sockets > 1 && first !== undefined) attach(first, familyOf(spec.address), spec.sockets)
    return { descriptors, port }
  } catch (error) {
    for (const fd of descriptors) closeSync(fd)
    throw error
  }
}

/** Another descriptor for the same socket. @throws SocketError `EMFILE` */
export const duplicate = (fd: number): number => check('fcntl', libc().fcntl(fd, F_DUPFD_CLOEXEC, 'int', 0))

/** Where a connection was going before a nat rule redirected it; undefined when none did. */
export const originalDestination = (
  fd: number,
  family: Family,
): { readonly ip: IP; readonly port: number } | undefined => {
  const bytes = new Uint8Array(sockaddrBytes)
  const level = family === 'IPv4' ? IPPROTO_IP : IPPROTO_IPV6
  const length = new Uint32Array([bytes.length])
  return libc().getsockopt(fd, level, ORIGINAL_DST, bytes, length) < 0 ? undefined : decodeSockaddr(bytes)
}

const openSocket = ({ protocol, address }: ListeningSpec): number => {
  const family = familyOf(address)
  const type = (protocol === 'TCP' ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK | SOCK_CLOEXEC
  const fd = check('socket', libc().socket(family === 'IPv4' ? AF_INET : AF_INET6, type, 0))
  try {
    // With UDP it would let others have the port as well.
    if (protocol === 'TCP') setOption(fd, SOL_SOCKET, SO_REUSEADDR, 1)
    if (family === 'IPv6') setOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1)
    return fd
  } catch (error) {
    closeSync(fd)
    throw error
  }
}

const bindTo = (fd: number, address: IP, port: number): number => {
  const sockaddr = encodeSockaddr(address, port)
  return libc().bind(fd, sockaddr, sockaddr.length)
}

const localPort = (fd: number): number => {
  const bytes = new Uint8Array(sockaddrBytes)
  check('getsockname', libc().getsockname(fd, bytes, new Uint32Array([bytes.length])))
  return decodeSockaddr(bytes)?.port ?? 0
}

const setOption = (fd: number, level: number, option: number, value: number): void => {
  const bytes = new Uint8Array(new Int32Array([value]).buffer)
  check('setsockopt', libc().setsockopt(fd, level, option, bytes, bytes.length))
}

/** struct sock_fprog: the number of instructions and a pointer to them. */
const attach = (fd: number, family: Family, sockets: number): void => {
  const code = encodeProgram(byClientAddress(family, sockets))
  const pointerBytes = koffi.sizeof('void *')
  const fprog = new Uint8Array(2 * pointerBytes)
  const view = new DataView(fprog.buffer)
  const littleEndian = endianness() === 'LE'
  view.setUint16(0, code.length / 8, littleEndian)
  const address = koffi.address(code)
  if (pointerBytes === 8) view.setBigUint64(8, BigInt(address), littleEndian)
  else view.setUint32(4, Number(address), littleEndian)
  check('setsockopt', libc().setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, fprog, fprog.length))
}

const check = (op: string, result: number): number => {
  if (result < 0) throw new SocketError(op, libc().errno())
  return result
}

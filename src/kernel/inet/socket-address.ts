import { endianness } from 'node:os'
import { familyOf, type IP, readIP, writeIP } from '../../model/ip.ts'

/** AF_* of linux/socket.h. */
export const AF_INET = 2
export const AF_INET6 = 10

export const sockaddrBytes = 28

const littleEndian = endianness() === 'LE'

/** struct sockaddr_in (16 bytes, ip(7)) or sockaddr_in6 (28 bytes, ipv6(7)). */
export const encodeSockaddr = (ip: IP, port: number): Uint8Array => {
  const v4 = familyOf(ip) === 'IPv4'
  const bytes = new Uint8Array(v4 ? 16 : sockaddrBytes)
  const view = new DataView(bytes.buffer)
  view.setUint16(0, v4 ? AF_INET : AF_INET6, littleEndian)
  view.setUint16(2, port)
  writeIP(ip, bytes, v4 ? 4 : 8)
  return bytes
}

/** The inverse; undefined for other families. */
export const decodeSockaddr = (bytes: Uint8Array): { readonly ip: IP; readonly port: number } | undefined => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const family = view.getUint16(0, littleEndian)
  if (family === AF_INET) return { ip: readIP('IPv4', bytes, 4), port: view.getUint16(2) }
  if (family === AF_INET6) return { ip: readIP('IPv6', bytes, 8), port: view.getUint16(2) }
  return undefined
}

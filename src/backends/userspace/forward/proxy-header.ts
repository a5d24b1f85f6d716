import { familyOf, type IP, writeIP } from '../../../model/ip.ts'

export interface HostPort {
  readonly ip: IP
  readonly port: number
}

const signature = [0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a]
/** Version 2, command PROXY. */
const versionAndCommand = 0x21
const tcp4 = 0x11
const tcp6 = 0x21

/** PROXY protocol v2 header of a TCP connection (proxy-protocol.txt §2.2, HAProxy): 28 bytes for IPv4, 52 for IPv6, no TLVs. */
export const proxyHeader = (source: HostPort, destination: HostPort): Uint8Array => {
  const bothV4 = familyOf(source.ip) === 'IPv4' && familyOf(destination.ip) === 'IPv4'
  const size = bothV4 ? 4 : 16
  const header = new Uint8Array(16 + 2 * size + 4)
  header.set(signature)
  header[12] = versionAndCommand
  header[13] = bothV4 ? tcp4 : tcp6
  const view = new DataView(header.buffer)
  view.setUint16(14, 2 * size + 4)
  writeAddress(source.ip, header, 16, bothV4)
  writeAddress(destination.ip, header, 16 + size, bothV4)
  view.setUint16(16 + 2 * size, source.port)
  view.setUint16(18 + 2 * size, destination.port)
  return header
}

/** An IPv4 address beside an IPv6 one is written as IPv4-mapped (RFC 4291 §2.5.5.2). */
const writeAddress = (ip: IP, header: Uint8Array, at: number, short: boolean): void => {
  if (short || familyOf(ip) === 'IPv6') writeIP(ip, header, at)
  else {
    header.fill(0xff, at + 10, at + 12)
    writeIP(ip, header, at + 12)
  }
}

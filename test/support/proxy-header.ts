/** A reader of PROXY protocol v2, written from proxy-protocol.txt §2.2 and sharing nothing with the code under test. */

export interface ProxyHeader {
  readonly command: 'LOCAL' | 'PROXY'
  readonly source: string
  readonly sourcePort: number
  readonly destination: string
  readonly destinationPort: number
  /** What follows the header. */
  readonly rest: string
}

const signature = '\r\n\r\n\0\r\nQUIT\n'

/** @throws Error for anything that is no v2 header of TCP over IPv4 or IPv6 */
export const parseProxyHeader = (bytes: Buffer): ProxyHeader => {
  if (bytes.subarray(0, 12).toString('latin1') !== signature) throw new Error('no signature')
  const version = bytes.readUInt8(12) >> 4
  const command = bytes.readUInt8(12) & 0xf
  if (version !== 2 || command > 1) throw new Error(`version ${version}, command ${command}`)
  const family = bytes.readUInt8(13) >> 4
  const transport = bytes.readUInt8(13) & 0xf
  if (transport !== 1) throw new Error(`transport ${transport} is not TCP`)
  const length = bytes.readUInt16BE(14)
  const size = family === 1 ? 4 : family === 2 ? 16 : 0
  if (size === 0 || length < 2 * size + 4) throw new Error(`family ${family} in ${length} bytes`)
  const at = (offset: number): string => {
    const raw = bytes.subarray(offset, offset + size)
    return size === 4 ? [...raw].join('.') : longIPv6(raw)
  }
  return {
    command: command === 1 ? 'PROXY' : 'LOCAL',
    source: at(16),
    sourcePort: bytes.readUInt16BE(16 + 2 * size),
    destination: at(16 + size),
    destinationPort: bytes.readUInt16BE(18 + 2 * size),
    rest: bytes.subarray(16 + length).toString(),
  }
}

/** All eight groups in full. */
const longIPv6 = (raw: Buffer): string =>
  Array.from({ length: 8 }, (_, i) => raw.readUInt16BE(2 * i).toString(16)).join(':')

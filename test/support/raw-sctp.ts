/**
 * As much SCTP (RFC 9260) as shows where packets go: an INIT is answered by an INIT ACK whose cookie is the greeting.
 * The packets are real, so conntrack and NAT treat them as they treat any association's first two.
 */
import { randomInt } from 'node:crypto'
import { isIPv6 } from 'node:net'
import { type Family, families } from '../../src/model/ip.ts'
import { protocolNumber } from '../../src/model/protocol.ts'
import { type Ask, decodeGreeting, encodeLine, type Outcome } from './host-protocol.ts'
import { RawSocket } from './raw-socket.ts'

const INIT = 1
const INIT_ACK = 2
const STATE_COOKIE = 7
const commonHeader = 12
const initChunk = 20
const parameterHeader = 4
const pollMs = 1

interface Init {
  readonly type: number
  readonly sourcePort: number
  readonly destinationPort: number
  readonly verificationTag: number
  readonly initiateTag: number
  readonly cookie: Uint8Array
}

/** CRC-32C, reflected (RFC 3720 appendix B.4); SCTP stores it low byte first. */
const crc32c = (bytes: Uint8Array): number => {
  let crc = 0xffffffff
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
  }
  return ~crc >>> 0
}

const encodeInit = (init: Init): Uint8Array => {
  const parameters = init.cookie.length === 0 ? 0 : parameterHeader + init.cookie.length
  const bytes = new Uint8Array(commonHeader + initChunk + 4 * Math.ceil(parameters / 4))
  const view = new DataView(bytes.buffer)
  view.setUint16(0, init.sourcePort)
  view.setUint16(2, init.destinationPort)
  view.setUint32(4, init.verificationTag)
  view.setUint8(12, init.type)
  view.setUint16(14, initChunk + parameters)
  view.setUint32(16, init.initiateTag)
  view.setUint32(20, 0x10000)
  view.setUint16(24, 1)
  view.setUint16(26, 1)
  view.setUint32(28, 1)
  if (parameters > 0) {
    view.setUint16(32, STATE_COOKIE)
    view.setUint16(34, parameters)
    bytes.set(init.cookie, 36)
  }
  view.setUint32(8, crc32c(bytes), true)
  return bytes
}

const decodeInit = (bytes: Uint8Array): Init | undefined => {
  if (bytes.length < commonHeader + initChunk) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const cookieEnd = bytes.length > 36 ? 32 + view.getUint16(34) : 36
  return {
    type: view.getUint8(12),
    sourcePort: view.getUint16(0),
    destinationPort: view.getUint16(2),
    verificationTag: view.getUint32(4),
    initiateTag: view.getUint32(16),
    cookie: bytes.slice(36, cookieEnd),
  }
}

const answerFrom = (family: Family, name: string, peer: string, init: Init): void => {
  const socket = new RawSocket(family, protocolNumber.SCTP)
  try {
    socket.connect(peer)
    socket.send(
      encodeInit({
        type: INIT_ACK,
        sourcePort: init.destinationPort,
        destinationPort: init.sourcePort,
        verificationTag: init.initiateTag,
        initiateTag: randomInt(1, 2 ** 32),
        cookie: new TextEncoder().encode(encodeLine({ name, peer, peerPort: init.sourcePort })),
      }),
    )
  } finally {
    socket.close()
  }
}

/** Answers every INIT to `port`; gives back what stops it. */
export const listenSctp = (name: string, port: number): (() => void) => {
  const sockets = families.map((family) => ({ family, socket: new RawSocket(family, protocolNumber.SCTP) }))
  const poll = (): void => {
    for (const { family, socket } of sockets)
      for (let got = socket.receive(); got.kind === 'packet'; got = socket.receive()) {
        const init = decodeInit(got.payload)
        if (init?.type === INIT && init.destinationPort === port) answerFrom(family, name, got.from, init)
      }
  }
  const timer = setInterval(poll, pollMs)
  return () => {
    clearInterval(timer)
    for (const { socket } of sockets) socket.close()
  }
}

/** Sends one INIT and waits for its INIT ACK. */
export const askSctp = async (ask: Ask): Promise<Outcome> => {
  const socket = new RawSocket(isIPv6(ask.address) ? 'IPv6' : 'IPv4', protocolNumber.SCTP)
  const sourcePort = ask.sourcePort ?? randomInt(32768, 61000)
  const tag = randomInt(1, 2 ** 32)
  const deadline = Date.now() + ask.timeoutMs
  try {
    socket.connect(ask.address)
    socket.send(
      encodeInit({
        type: INIT,
        sourcePort,
        destinationPort: ask.port,
        verificationTag: 0,
        initiateTag: tag,
        cookie: new Uint8Array(0),
      }),
    )
    while (Date.now() < deadline) {
      const got = socket.receive()
      if (got.kind === 'refused') return { kind: 'refused' }
      const init = got.kind === 'packet' ? decodeInit(got.payload) : undefined
      if (init?.type === INIT_ACK && init.destinationPort === sourcePort && init.verificationTag === tag)
        return { kind: 'answered', ...decodeGreeting(new TextDecoder().decode(init.cookie)) }
      if (got.kind === 'nothing') await new Promise((resolve) => setTimeout(resolve, pollMs))
    }
    return { kind: 'timeout' }
  } catch (cause) {
    return { kind: 'failed', code: String(cause) }
  } finally {
    socket.close()
  }
}

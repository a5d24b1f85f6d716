import { addressBytes, type Family, familyOf, type IP, readIP, writeIP } from './ip.ts'
import type { Protocol } from './protocol.ts'

/**
 * An address and a port as numbers, to be compared and hashed without making anything: the address in network order, as
 * four signed 32-bit words, of which IPv4 has the first and leaves the others 0; the port 0 to 65535.
 */
export interface FlowEnd {
  readonly w0: number
  readonly w1: number
  readonly w2: number
  readonly w3: number
  readonly port: number
}

/** An entry of the kernel's connection tracking table. */
export interface Flow {
  readonly family: Family
  readonly protocol: Protocol
  readonly source: FlowEnd
  /** Where the first packet was sent when it came. */
  readonly destination: FlowEnd
  /** Where it went: where answers come from. The same as `destination` unless it was translated. */
  readonly target: FlowEnd
  /** Of the original direction; 0 unless rules say otherwise. */
  readonly zone: number
  /** The kernel's number for it: another entry of the same tuple has another one, but for a chance. 32 bits. */
  readonly id: number
}

/** A flow that is overwritten when its reader moves on. */
export interface PassingFlow extends Flow {
  /** One that stays. */
  copy(): Flow
}

const scratch = new DataView(new ArrayBuffer(16))
const scratchBytes = new Uint8Array(scratch.buffer)

export const flowEnd = (ip: IP, port: number): FlowEnd => {
  writeIP(ip, scratchBytes, 0)
  const w0 = scratch.getInt32(0)
  if (familyOf(ip) === 'IPv4') return { w0, w1: 0, w2: 0, w3: 0, port }
  return { w0, w1: scratch.getInt32(4), w2: scratch.getInt32(8), w3: scratch.getInt32(12), port }
}

export const sameEnd = (a: FlowEnd, b: FlowEnd): boolean =>
  a.w0 === b.w0 && a.port === b.port && a.w3 === b.w3 && a.w2 === b.w2 && a.w1 === b.w1

/** The inverse of {@link flowEnd}, but for the port. */
export const flowAddress = (family: Family, { w0, w1, w2, w3 }: FlowEnd): IP => {
  const bytes = new Uint8Array(16)
  const view = new DataView(bytes.buffer)
  for (const [i, word] of [w0, w1, w2, w3].entries()) view.setInt32(4 * i, word)
  return readIP(family, bytes.subarray(0, addressBytes(family)), 0)
}

/** For messages. */
export const flowText = ({ family, protocol, source, destination }: Flow): string =>
  `${protocol} ${flowAddress(family, source)} port ${source.port} to ${flowAddress(family, destination)} port ${destination.port}`

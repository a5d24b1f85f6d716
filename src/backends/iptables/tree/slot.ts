import { addressBytes, type Family, type IP, readIP } from '../../../model/ip.ts'
import type { Protocol } from '../../../model/protocol.ts'
import { protocolDigit } from '../protocol-digit.ts'

/** What packets are told apart by in a tree. */
export interface TreeShape {
  /** The chain that the tree is below, e.g. KUBE-SERVICES. */
  readonly root: string
  readonly family: Family
  /** `address`: keys are address, protocol and port; `port`: protocol and port, whatever the address. */
  readonly kind: 'address' | 'port'
}

/** What the leading digits of a key say. Bits are counted from the most significant one. */
export interface Slot {
  /** Undefined in a tree of kind `port`. The bits that are open are 0. */
  readonly address: { readonly ip: IP; readonly bits: number } | undefined
  readonly protocol: Protocol | undefined
  readonly port: PortRange | undefined
}

export interface PortRange {
  readonly first: number
  readonly last: number
  /** 4, 8, 12 or 16. */
  readonly bits: number
}

const protocols = new Map<string, Protocol>([
  [protocolDigit.TCP, 'TCP'],
  [protocolDigit.UDP, 'UDP'],
  [protocolDigit.SCTP, 'SCTP'],
])

const addressDigits = ({ kind, family }: TreeShape): number => (kind === 'port' ? 0 : 2 * addressBytes(family))

const portDigits = 4
const hexDigits = /^[0-9a-f]*$/

export const isKey = (shape: TreeShape, key: string): boolean => {
  const digits = addressDigits(shape)
  return key.length === digits + 1 + portDigits && hexDigits.test(key) && protocols.has(key.charAt(digits))
}

/** `digits`: at least one, of a key that {@link isKey} accepts. */
export const readSlot = (shape: TreeShape, digits: string): Slot => {
  const length = addressDigits(shape)
  return {
    address: length === 0 ? undefined : readAddress(shape.family, digits.slice(0, length)),
    protocol: protocols.get(digits.charAt(length)),
    port: digits.length <= length + 1 ? undefined : readPort(digits.slice(length + 1)),
  }
}

const readAddress = (family: Family, digits: string): Slot['address'] => {
  const bytes = Buffer.from(digits.padEnd(2 * addressBytes(family), '0'), 'hex')
  return { ip: readIP(family, bytes, 0), bits: 4 * digits.length }
}

const readPort = (digits: string): PortRange => ({
  first: Number.parseInt(digits.padEnd(portDigits, '0'), 16),
  last: Number.parseInt(digits.padEnd(portDigits, 'f'), 16),
  bits: 4 * digits.length,
})

import { align4, littleEndian } from './byte-layout.ts'
import { NLA_F_NESTED, NLA_HDRLEN, NLA_MAXLEN, NLMSG_HDRLEN } from './constants.ts'
import { KernelError } from './error.ts'

const utf8 = new TextEncoder()

const unfit = (value: number | bigint, width: string): KernelError =>
  new KernelError({ code: 'invalid', op: 'encode netlink attribute', detail: `${value} does not fit into ${width}` })

const isUnsigned = (value: number, most: number): boolean => Number.isInteger(value) && value >= 0 && value <= most
const isSigned = (value: number): boolean => (value | 0) === value
const wide = (value: number | bigint): bigint => {
  if (typeof value === 'number' && !Number.isSafeInteger(value)) throw unfit(value, 'u64')
  const exact = BigInt(value)
  if (BigInt.asUintN(64, exact) !== exact) throw unfit(value, 'u64')
  return exact
}

/**
 * Writes netlink messages and attributes into one growing buffer. Numbers that do not fit their width are `invalid`, and
 * attributes that are too long for their length field `tooLarge`, rather than written as something else. `bytes` and `view` change identity when it grows, so
 * they are to be fetched again after every call. What was not written reads as zero.
 */
export class Writer {
  bytes: Uint8Array<ArrayBuffer>
  view: DataView
  /** Bytes written so far, and where the next ones go. */
  length = 0

  constructor(capacity = 4096) {
    this.bytes = new Uint8Array(capacity)
    this.view = new DataView(this.bytes.buffer)
  }

  /** Makes room for `size` more bytes and returns where they begin. */
  reserve(size: number): number {
    const start = this.length
    const end = start + size
    if (end > this.bytes.length) this.#grow(end)
    this.length = end
    return start
  }

  /** Begins a message; ends with {@link endMessage}. `portId` 0 = "to the kernel". */
  message(type: number, flags: number, sequence: number): number {
    const at = this.reserve(NLMSG_HDRLEN)
    this.view.setUint16(at + 4, type, littleEndian)
    this.view.setUint16(at + 6, flags, littleEndian)
    this.view.setUint32(at + 8, sequence, littleEndian)
    this.view.setUint32(at + 12, 0, littleEndian)
    return at
  }

  endMessage(start: number): void {
    this.view.setUint32(start, this.length - start, littleEndian)
  }

  /** Sets further flags of the message that began at `start`. */
  addFlags(start: number, flags: number): void {
    const at = start + 6
    this.view.setUint16(at, this.view.getUint16(at, littleEndian) | flags, littleEndian)
  }

  /** Pads to where a further message may begin. */
  align(): void {
    this.reserve(align4(this.length) - this.length)
  }

  /** Takes back what was written from `length` on. */
  cut(length: number): void {
    this.bytes.fill(0, length, this.length)
    this.length = length
  }

  /** Begins an attribute that holds attributes; ends with {@link endNest}. */
  nest(type: number): number {
    const at = this.reserve(NLA_HDRLEN)
    this.view.setUint16(at + 2, type | NLA_F_NESTED, littleEndian)
    return at
  }

  endNest(start: number): void {
    this.view.setUint16(start, checkedLength(this.length - start), littleEndian)
  }

  /** An attribute of `size` bytes, zeroed; returns where its value begins. */
  attribute(type: number, size: number): number {
    const at = this.reserve(NLA_HDRLEN + align4(size))
    this.view.setUint16(at, checkedLength(NLA_HDRLEN + size), littleEndian)
    this.view.setUint16(at + 2, type, littleEndian)
    return at + NLA_HDRLEN
  }

  u8(type: number, value: number): void {
    if (!isUnsigned(value, 0xff)) throw unfit(value, 'u8')
    const at = this.attribute(type, 1)
    this.view.setUint8(at, value)
  }

  u16be(type: number, value: number): void {
    if (!isUnsigned(value, 0xffff)) throw unfit(value, 'u16')
    const at = this.attribute(type, 2)
    this.view.setUint16(at, value)
  }

  u16host(type: number, value: number): void {
    if (!isUnsigned(value, 0xffff)) throw unfit(value, 'u16')
    const at = this.attribute(type, 2)
    this.view.setUint16(at, value, littleEndian)
  }

  u32be(type: number, value: number): void {
    if (!isUnsigned(value, 0xffff_ffff)) throw unfit(value, 'u32')
    const at = this.attribute(type, 4)
    this.view.setUint32(at, value)
  }

  u32host(type: number, value: number): void {
    if (!isUnsigned(value, 0xffff_ffff)) throw unfit(value, 'u32')
    const at = this.attribute(type, 4)
    this.view.setUint32(at, value, littleEndian)
  }

  s32be(type: number, value: number): void {
    if (!isSigned(value)) throw unfit(value, 's32')
    const at = this.attribute(type, 4)
    this.view.setInt32(at, value)
  }

  s32host(type: number, value: number): void {
    if (!isSigned(value)) throw unfit(value, 's32')
    const at = this.attribute(type, 4)
    this.view.setInt32(at, value, littleEndian)
  }

  u64host(type: number, value: number | bigint): void {
    const exact = wide(value)
    const at = this.attribute(type, 8)
    this.view.setBigUint64(at, exact, littleEndian)
  }

  u64be(type: number, value: number | bigint): void {
    const exact = wide(value)
    const at = this.attribute(type, 8)
    this.view.setBigUint64(at, exact)
  }

  value(type: number, value: Uint8Array): void {
    const at = this.attribute(type, value.length)
    this.bytes.set(value, at)
  }

  /** No value: what counts is that it is there. */
  flag(type: number): void {
    this.attribute(type, 0)
  }

  /** NUL-terminated, as NLA_NUL_STRING and NLA_STRING ask for. */
  string(type: number, value: string): void {
    const length = value.length
    const at = this.attribute(type, length + 1)
    const bytes = this.bytes
    for (let i = 0; i < length; i++) {
      const code = value.charCodeAt(i)
      if (code > 0x7f || code === 0) {
        this.cut(at - NLA_HDRLEN)
        this.#longString(type, value)
        return
      }
      bytes[at + i] = code
    }
  }

  finish(): Uint8Array<ArrayBuffer> {
    return this.bytes.subarray(0, this.length)
  }

  #longString(type: number, value: string): void {
    const encoded = utf8.encode(value)
    if (encoded.includes(0)) {
      const detail = 'a string with NUL in it'
      throw new KernelError({ code: 'invalid', op: 'encode netlink attribute', detail })
    }
    const at = this.attribute(type, encoded.length + 1)
    this.bytes.set(encoded, at)
  }

  #grow(needed: number): void {
    const bytes = new Uint8Array(Math.max(needed, 2 * this.bytes.length))
    bytes.set(this.bytes.subarray(0, this.length))
    this.bytes = bytes
    this.view = new DataView(bytes.buffer)
  }
}

const checkedLength = (length: number): number => {
  if (length > NLA_MAXLEN)
    throw new KernelError({ code: 'tooLarge', op: 'encode netlink attribute', detail: `${length} bytes` })
  return length
}

import { endianness } from 'node:os'
import { NLA_F_NESTED, NLA_HDRLEN, NLA_MAXLEN, NLA_TYPE_MASK, NLMSG_HDRLEN } from './constants.ts'
import { KernelError, malformed } from './error.ts'

/** Headers are in host order; payloads say their own order in the name of the call. */
export const littleEndian = endianness() === 'LE'

export const align4 = (length: number): number => (length + 3) & ~3

const utf8 = new TextEncoder()
const text = new TextDecoder('utf-8', { fatal: false })

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

/**
 * Walks attributes, or any run of them: `while (reader.next()) switch (reader.type) …`. Every read checks the exact
 * width; anything that does not fit throws `malformed`.
 */
export class Reader {
  /** Of the attribute that {@link next} moved to, flag bits removed. */
  type = 0
  /** Its value: from `start` to `end`, without the padding. */
  start = 0
  end = 0
  readonly bytes: Uint8Array
  readonly #view: DataView
  #next = 0
  #limit = 0

  constructor(bytes: Uint8Array, from = 0, to = bytes.length) {
    this.bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    this.rewind(from, to)
  }

  next(): boolean {
    const at = this.#next
    if (at >= this.#limit) return false
    if (this.#limit - at < NLA_HDRLEN) throw malformed(`${this.#limit - at} stray bytes after the last attribute`)
    const length = this.#view.getUint16(at, littleEndian)
    if (length < NLA_HDRLEN || length > this.#limit - at)
      throw malformed(`attribute of ${length} bytes where ${this.#limit - at} are left`)
    this.type = this.#view.getUint16(at + 2, littleEndian) & NLA_TYPE_MASK
    this.start = at + NLA_HDRLEN
    this.end = at + length
    this.#next = at + align4(length)
    return true
  }

  /** Walks another run of the same buffer with this reader. */
  rewind(from: number, to: number): void {
    if (from < 0 || from > to || to > this.bytes.length)
      throw malformed(`attributes from ${from} to ${to} of ${this.bytes.length} bytes`)
    this.#next = from
    this.#limit = to
  }

  nested(): Reader {
    return new Reader(this.bytes, this.start, this.end)
  }

  u8(): number {
    return this.#view.getUint8(this.#exactly(1))
  }

  u16be(): number {
    return this.#view.getUint16(this.#exactly(2))
  }

  u16host(): number {
    return this.#view.getUint16(this.#exactly(2), littleEndian)
  }

  u32be(): number {
    return this.#view.getUint32(this.#exactly(4))
  }

  u32host(): number {
    return this.#view.getUint32(this.#exactly(4), littleEndian)
  }

  s32be(): number {
    return this.#view.getInt32(this.#exactly(4))
  }

  s32host(): number {
    return this.#view.getInt32(this.#exactly(4), littleEndian)
  }

  u64host(): bigint {
    return this.#view.getBigUint64(this.#exactly(8), littleEndian)
  }

  u64be(): bigint {
    return this.#view.getBigUint64(this.#exactly(8))
  }

  /** A view, not a copy. */
  value(): Uint8Array {
    return this.bytes.subarray(this.start, this.end)
  }

  /** With or without a NUL at the end. */
  string(): string {
    const value = this.value()
    const nul = value.indexOf(0)
    return text.decode(nul < 0 ? value : value.subarray(0, nul))
  }

  #exactly(width: number): number {
    if (this.end - this.start !== width)
      throw malformed(`attribute ${this.type} has ${this.end - this.start} bytes, not ${width}`)
    return this.start
  }
}

/** Walks the messages of one datagram: `while (messages.next()) …`. */
export class MessageReader {
  type = 0
  flags = 0
  sequence = 0
  portId = 0
  /** The message begins here, … */
  at = 0
  /** … its payload here, and it ends here. */
  start = 0
  end = 0
  readonly bytes: Uint8Array
  readonly #view: DataView
  #next = 0

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  }

  next(): boolean {
    const at = this.#next
    const left = this.bytes.length - at
    if (left <= 0) return false
    if (left < NLMSG_HDRLEN) throw malformed(`${left} bytes are no message header`)
    const length = this.#view.getUint32(at, littleEndian)
    if (length < NLMSG_HDRLEN || length > left) throw malformed(`message of ${length} bytes where ${left} are left`)
    this.type = this.#view.getUint16(at + 4, littleEndian)
    this.flags = this.#view.getUint16(at + 6, littleEndian)
    this.sequence = this.#view.getUint32(at + 8, littleEndian)
    this.portId = this.#view.getUint32(at + 12, littleEndian)
    this.at = at
    this.start = at + NLMSG_HDRLEN
    this.end = at + length
    this.#next = at + align4(length)
    return true
  }

  /** Of the payload, `offset` bytes in. */
  u8(offset: number): number {
    if (this.start + offset >= this.end) throw malformed(`message type ${this.type} is too short`)
    return this.#view.getUint8(this.start + offset)
  }

  /** A signed host-order integer of the payload, `offset` bytes in: the result of errors and of DONE. */
  s32host(offset: number): number {
    if (this.start + offset + 4 > this.end) throw malformed(`message type ${this.type} is too short`)
    return this.#view.getInt32(this.start + offset, littleEndian)
  }

  u32host(offset: number): number {
    return this.s32host(offset) >>> 0
  }

  /** The attributes after a fixed header of `headerLength` bytes. */
  attributes(headerLength: number): Reader {
    if (this.start + headerLength > this.end) throw malformed(`message type ${this.type} is too short`)
    return new Reader(this.bytes, this.start + headerLength, this.end)
  }
}

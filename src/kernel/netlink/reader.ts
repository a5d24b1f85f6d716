import { align4, littleEndian } from './byte-layout.ts'
import { NLA_HDRLEN, NLA_TYPE_MASK, NLMSG_HDRLEN } from './constants.ts'
import { malformed } from './error.ts'

const text = new TextDecoder('utf-8', { fatal: false })

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

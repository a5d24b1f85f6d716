import type { Flow, FlowEnd, PassingFlow } from '../../model/flow.ts'
import { addressBytes } from '../../model/ip.ts'
import { protocolNumber } from '../../model/protocol.ts'
import { NLA_HDRLEN, NLA_TYPE_MASK } from '../netlink/constants.ts'
import { malformed } from '../netlink/error.ts'
import { align4, littleEndian, type MessageReader } from '../netlink/wire.ts'
import type { FlowFilter } from './conntrack.ts'
import {
  CTA_ID,
  CTA_IP_V4_DST,
  CTA_IP_V4_SRC,
  CTA_IP_V6_DST,
  CTA_IP_V6_SRC,
  CTA_PROTO_DST_PORT,
  CTA_PROTO_NUM,
  CTA_PROTO_SRC_PORT,
  CTA_TUPLE_IP,
  CTA_TUPLE_ORIG,
  CTA_TUPLE_PROTO,
  CTA_TUPLE_REPLY,
  CTA_TUPLE_ZONE,
  CTA_ZONE,
  IPCTNL_MSG_CT_NEW,
  NFGENMSG_LEN,
  NFPROTO_IPV4,
  NFPROTO_IPV6,
} from './constants.ts'

class End implements FlowEnd {
  w0 = 0
  w1 = 0
  w2 = 0
  w3 = 0
  port = 0

  copy(): FlowEnd {
    const { w0, w1, w2, w3, port } = this
    return { w0, w1, w2, w3, port }
  }
}

class View implements PassingFlow {
  readonly family: Flow['family']
  readonly protocol: Flow['protocol']
  readonly source = new End()
  readonly destination = new End()
  readonly target = new End()
  zone = 0
  id = 0

  constructor({ family, protocol }: FlowFilter) {
    this.family = family
    this.protocol = protocol
  }

  copy(): Flow {
    const { family, protocol, source, destination, target, zone, id } = this
    return { family, protocol, source: source.copy(), destination: destination.copy(), target: target.copy(), zone, id }
  }
}

/** What has been seen of an entry, or of a tuple of it. */
const sourceSeen = 1
const destinationSeen = 2
const protocolSeen = 4
const sourcePortSeen = 8
const destinationPortSeen = 16
const wholeTuple = 31
const originalSeen = 1
const replySeen = 2
const idSeen = 4
const wholeEntry = 7

/**
 * Reads entries of one family and protocol, hundreds of thousands at a time: all of them into one object, with nothing
 * made on the way. So it walks the attributes by itself instead of with a Reader for each nest.
 */
export class FlowReader {
  readonly #flow: View
  readonly #reply = { source: new End(), destination: new End() }
  readonly #nfproto: number
  readonly #protocol: number
  readonly #addressBytes: 4 | 16
  readonly #sourceType: number
  readonly #destinationType: number
  #bytes: Uint8Array = new Uint8Array()
  #view: DataView = new DataView(this.#bytes.buffer)
  #tupleZone = 0

  constructor(filter: FlowFilter) {
    const ipv4 = filter.family === 'IPv4'
    this.#flow = new View(filter)
    this.#nfproto = ipv4 ? NFPROTO_IPV4 : NFPROTO_IPV6
    this.#protocol = protocolNumber[filter.protocol]
    this.#addressBytes = addressBytes(filter.family)
    this.#sourceType = ipv4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC
    this.#destinationType = ipv4 ? CTA_IP_V4_DST : CTA_IP_V6_DST
  }

  /** Valid until the next call. undefined for an entry of another family or protocol, which may have no ports. */
  read(message: MessageReader): PassingFlow | undefined {
    const { bytes, start, end } = message
    if (message.type !== IPCTNL_MSG_CT_NEW) throw malformed(`message type ${message.type} is no conntrack entry`)
    if (start + NFGENMSG_LEN > end) throw malformed('a conntrack entry without its header')
    if (bytes !== this.#bytes) {
      this.#bytes = bytes
      this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    }
    if (bytes[start] !== this.#nfproto) return undefined
    const flow = this.#flow
    let seen = 0
    let zone = -1
    let zoneOfOriginal = 0
    let length = 0
    for (let at = start + NFGENMSG_LEN; at < end; at += align4(length)) {
      length = this.#lengthAt(at, end)
      const type = this.#view.getUint16(at + 2, littleEndian) & NLA_TYPE_MASK
      if (type === CTA_TUPLE_ORIG) {
        if (!this.#tuple(at + NLA_HDRLEN, at + length, flow.source, flow.destination)) return undefined
        zoneOfOriginal = this.#tupleZone
        seen |= originalSeen
      } else if (type === CTA_TUPLE_REPLY) {
        const { source, destination } = this.#reply
        if (!this.#tuple(at + NLA_HDRLEN, at + length, source, destination)) return undefined
        seen |= replySeen
      } else if (type === CTA_ZONE) zone = this.#u16(at, length)
      else if (type === CTA_ID) {
        flow.id = this.#u32(at, length) >>> 0
        seen |= idSeen
      }
    }
    if (seen !== wholeEntry) throw malformed('a conntrack entry lacks a tuple or its number')
    const { source } = this.#reply
    const { target } = flow
    target.w0 = source.w0
    target.w1 = source.w1
    target.w2 = source.w2
    target.w3 = source.w3
    target.port = source.port
    // A zone of one direction only is part of that direction's tuple.
    flow.zone = zone < 0 ? zoneOfOriginal : zone
    return flow
  }

  /** False for one of another protocol. */
  #tuple(from: number, to: number, source: End, destination: End): boolean {
    let seen = 0
    let length = 0
    this.#tupleZone = 0
    for (let at = from; at < to; at += align4(length)) {
      length = this.#lengthAt(at, to)
      const type = this.#view.getUint16(at + 2, littleEndian) & NLA_TYPE_MASK
      if (type === CTA_TUPLE_IP) seen |= this.#addresses(at + NLA_HDRLEN, at + length, source, destination)
      else if (type === CTA_TUPLE_PROTO) {
        const ports = this.#ports(at + NLA_HDRLEN, at + length, source, destination)
        if (ports === 0) return false
        seen |= ports
      } else if (type === CTA_TUPLE_ZONE) this.#tupleZone = this.#u16(at, length)
    }
    if (seen !== wholeTuple) throw malformed('a conntrack tuple lacks an address, its protocol or a port')
    return true
  }

  #addresses(from: number, to: number, source: End, destination: End): number {
    let seen = 0
    let length = 0
    for (let at = from; at < to; at += align4(length)) {
      length = this.#lengthAt(at, to)
      const type = this.#view.getUint16(at + 2, littleEndian) & NLA_TYPE_MASK
      if (type === this.#sourceType) {
        this.#address(at, length, source)
        seen |= sourceSeen
      } else if (type === this.#destinationType) {
        this.#address(at, length, destination)
        seen |= destinationSeen
      }
    }
    return seen
  }

  /** 0 for another protocol. */
  #ports(from: number, to: number, source: End, destination: End): number {
    let seen = 0
    let length = 0
    for (let at = from; at < to; at += align4(length)) {
      length = this.#lengthAt(at, to)
      const type = this.#view.getUint16(at + 2, littleEndian) & NLA_TYPE_MASK
      if (type === CTA_PROTO_NUM) {
        this.#expect(length, 1)
        if (this.#bytes[at + NLA_HDRLEN] !== this.#protocol) return 0
        seen |= protocolSeen
      } else if (type === CTA_PROTO_SRC_PORT) {
        source.port = this.#u16(at, length)
        seen |= sourcePortSeen
      } else if (type === CTA_PROTO_DST_PORT) {
        destination.port = this.#u16(at, length)
        seen |= destinationPortSeen
      }
    }
    return seen
  }

  #address(at: number, length: number, end: End): void {
    this.#expect(length, this.#addressBytes)
    const view = this.#view
    end.w0 = view.getInt32(at + NLA_HDRLEN)
    if (this.#addressBytes === 4) return
    end.w1 = view.getInt32(at + NLA_HDRLEN + 4)
    end.w2 = view.getInt32(at + NLA_HDRLEN + 8)
    end.w3 = view.getInt32(at + NLA_HDRLEN + 12)
  }

  #u16(at: number, length: number): number {
    this.#expect(length, 2)
    return this.#view.getUint16(at + NLA_HDRLEN)
  }

  #u32(at: number, length: number): number {
    this.#expect(length, 4)
    return this.#view.getUint32(at + NLA_HDRLEN)
  }

  #expect(length: number, bytes: number): void {
    if (length !== NLA_HDRLEN + bytes) throw malformed(`an attribute of ${length - NLA_HDRLEN} bytes, not ${bytes}`)
  }

  #lengthAt(at: number, end: number): number {
    if (end - at < NLA_HDRLEN) throw malformed(`${end - at} stray bytes after the last attribute`)
    const length = this.#view.getUint16(at, littleEndian)
    if (length < NLA_HDRLEN || length > end - at)
      throw malformed(`attribute of ${length} bytes where ${end - at} are left`)
    return length
  }
}

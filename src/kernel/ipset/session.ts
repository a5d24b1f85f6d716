import { Connection } from '../netlink/connection.ts'
import { KernelError } from '../netlink/error.ts'
import type { Request } from '../netlink/request.ts'
import type { Transport } from '../netlink/transport.ts'
import type { MessageReader } from '../netlink/wire.ts'
import { isOfShape, type Offer, readIdentity, readProtocol, readRevision, type SetIdentity } from './answers.ts'
import {
  IPSET_CMD_HEADER,
  IPSET_CMD_PROTOCOL,
  IPSET_CMD_TYPE,
  IPSET_PROTOCOL,
  IPSET_PROTOCOL_MIN,
} from './constants.ts'
import type { SetRef, SetSpec, SetType } from './ipset.ts'
import { IpsetError } from './ipset-error.ts'
import { protocolBody, setBody, typeBody } from './requests.ts'

/**
 * The highest revisions that are known here. Nothing is used that the first one did not have, but the kernel finds a type
 * by name and revision. IPSET_TYPE_REV_MAX of net/netfilter/ipset/ip_set_hash_ip.c, …_ipport.c, …_ipportip.c, …_ipportnet.c
 * and ip_set_bitmap_port.c.
 */
const knownRevision: Readonly<Record<SetType, number>> = {
  'hash:ip': 6,
  'hash:ip,port': 7,
  'hash:ip,port,ip': 6,
  'hash:ip,port,net': 8,
  'bitmap:port': 3,
}

/** The first one that can have marks (skbinfo), from the same file: only this type is ever made with them. */
const leastRevisionWithMarks = 5

/** Short questions to the kernel, over one socket that is opened when it is first needed, and what was agreed upon. */
export class Session {
  readonly #open: () => Transport
  #connection: Connection | undefined
  #protocol: number | undefined

  constructor(open: () => Transport) {
    this.#open = open
  }

  /** The protocol to speak; undefined where the kernel has no ipset. */
  negotiate(op: string, signal: AbortSignal): number | undefined {
    signal.throwIfAborted()
    if (this.#protocol !== undefined) return this.#protocol
    const request: Request = { op, type: IPSET_CMD_PROTOCOL, body: protocolBody(IPSET_PROTOCOL) }
    let offer: Offer
    try {
      offer = this.#ask(request, readProtocol, signal)
    } catch (error) {
      // nfnetlink has no such subsystem, or there is no nfnetlink.
      if (error instanceof KernelError && (error.code === 'invalid' || error.code === 'unsupported')) return undefined
      throw error
    }
    this.#protocol = highest(offer, { least: IPSET_PROTOCOL_MIN, most: IPSET_PROTOCOL })
    if (this.#protocol !== undefined) return this.#protocol
    const reason = `the kernel speaks protocol ${offer.least} to ${offer.most}, not ${IPSET_PROTOCOL_MIN} to ${IPSET_PROTOCOL}`
    throw new IpsetError({ code: 'unsupported', op, reason })
  }

  /** The protocol to speak. */
  protocol(op: string, signal: AbortSignal): number {
    const protocol = this.negotiate(op, signal)
    if (protocol !== undefined) return protocol
    throw new IpsetError({ code: 'unsupported', op, reason: 'the kernel has no ipset' })
  }

  /** The revision of its type that a set is to have. */
  revision(op: string, spec: SetSpec, protocol: number, signal: AbortSignal): number {
    const request: Request = { op, type: IPSET_CMD_TYPE, body: typeBody(protocol, spec) }
    const least = spec.marks ? leastRevisionWithMarks : 0
    const offer = this.#ask(request, readRevision, signal)
    const revision = highest(offer, { least, most: knownRevision[spec.type] })
    if (revision !== undefined) return revision
    const reason = offer.most < least ? 'has no marks' : 'is too new'
    throw new IpsetError({ code: 'unsupported', op, reason: `the kernel's ${spec.type} ${reason}` })
  }

  /** Throws when the set is not what it is taken for: the kernel would add what it can to a set of another type. */
  checkSet(op: string, set: SetRef, protocol: number, signal: AbortSignal): void {
    const request: Request = { op, type: IPSET_CMD_HEADER, body: setBody(protocol, set.name) }
    checkShape(op, this.#ask(request, readIdentity, signal), set)
  }

  /** Throws what the kernel answers. */
  request(request: Request, signal: AbortSignal): void {
    this.#connected().request(request, signal)
  }

  /** Gives the socket back; another question opens it again. */
  close(): void {
    this.#connection?.close()
    this.#connection = undefined
    this.#protocol = undefined
  }

  #ask<T>(request: Request, read: (message: MessageReader) => T, signal: AbortSignal): T {
    let answer: { readonly value: T } | undefined
    const onReply = (message: MessageReader): void => {
      answer = { value: read(message) }
    }
    this.#connected().request(request, signal, onReply, 'reply')
    if (answer === undefined) throw new KernelError({ code: 'io', op: request.op, detail: 'an empty answer' })
    return answer.value
  }

  #connected(): Connection {
    this.#connection ??= new Connection(this.#open())
    return this.#connection
  }
}

export const checkShape = (op: string, identity: SetIdentity, set: SetRef): void => {
  if (isOfShape(identity, set)) return
  const found = `the set is ${identity.type} ${identity.family ?? ''}`.trimEnd()
  throw new IpsetError({ code: 'typeMismatch', op, reason: `${found}, not ${set.type} ${set.family}` })
}

const highest = (offered: Offer, known: Offer): number | undefined => {
  const most = Math.min(offered.most, known.most)
  return most >= Math.max(offered.least, known.least) ? most : undefined
}

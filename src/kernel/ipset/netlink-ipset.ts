import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import { Connection, dump, type Request } from '../netlink/connection.ts'
import { NLM_F_CREATE, NLM_F_EXCL, protocols } from '../netlink/constants.ts'
import { KernelError } from '../netlink/error.ts'
import { openTransport, type Transport } from '../netlink/transport.ts'
import { MemberBatch } from './batch.ts'
import { checkName, checkSpec, notMember } from './check.ts'
import {
  IPSET_CMD_ADD,
  IPSET_CMD_CREATE,
  IPSET_CMD_DEL,
  IPSET_CMD_DESTROY,
  IPSET_CMD_HEADER,
  IPSET_CMD_LIST,
  IPSET_CMD_PROTOCOL,
  IPSET_CMD_SWAP,
  IPSET_CMD_TYPE,
  IPSET_PROTOCOL,
  IPSET_PROTOCOL_MIN,
} from './constants.ts'
import type { Ipset, SetHeader, SetRef, SetSpec, SetType } from './ipset.ts'
import { IpsetError } from './ipset-error.ts'
import { explain } from './kernel-refusal.ts'
import type { Member } from './member.ts'
import { formatMember, parseMember } from './member-value.ts'
import {
  createBody,
  isOfShape,
  listHeadersBody,
  type Offer,
  protocolBody,
  readHeader,
  readIdentity,
  readMembers,
  readProtocol,
  readRevision,
  type SetIdentity,
  setBody,
  swapBody,
  typeBody,
} from './messages.ts'

export interface NetlinkIpsetOptions {
  /** Opens a socket of NETLINK_NETFILTER. */
  readonly open?: () => Transport
  /** Size of the messages that add and remove members, at most 64 KiB. */
  readonly batchBytes?: number
}

/**
 * The most that one attribute holds. 100,000 members take as long in messages of 16 KiB, and twice as long in messages
 * of 1 KiB.
 */
const mostBatchBytes = 0xffff
/** A batch, and its copy in the answer. The kernel books more than the bytes themselves. */
const socketBuffer = 256 * 1024

const openNetfilter = (): Transport =>
  openTransport({ protocol: protocols.netfilter, sendBuffer: socketBuffer, receiveBuffer: 1 << 20 })

/**
 * The highest revisions that are known here. Nothing is used that the first one did not have, but the kernel knows a
 * type only by name and revision. include/uapi does not have them; they are in net/netfilter/ipset/ip_set_hash_ipport.c,
 * …_ipportip.c, …_ipportnet.c and ip_set_bitmap_port.c (IPSET_TYPE_REV_MAX) of Linux 6.12.
 */
const knownRevision: Readonly<Record<SetType, number>> = {
  'hash:ip,port': 7,
  'hash:ip,port,ip': 6,
  'hash:ip,port,net': 8,
  'bitmap:port': 3,
}

/** Milliseconds to wait before each further attempt to swap sets that someone is reading. */
const swapPauses = [2, 5, 10, 20, 40, 80, 160]
/** Milliseconds of work after which the rest of the process gets its turn. */
const slice = 4

/** {@link Ipset} over nfnetlink, in the network namespace in which its sockets are opened: when they are first needed. */
export class NetlinkIpset implements Ipset {
  readonly #open: () => Transport
  readonly #batchBytes: number
  #connection: Connection | undefined
  #writer: Transport | undefined
  #sequence = 0
  /** What was agreed upon, once the kernel has answered. */
  #protocol: number | undefined

  constructor({ open = openNetfilter, batchBytes = mostBatchBytes }: NetlinkIpsetOptions = {}) {
    this.#open = open
    this.#batchBytes = Math.min(batchBytes, mostBatchBytes)
  }

  async list(signal: AbortSignal): Promise<readonly SetHeader[]> {
    const op = 'list sets'
    return await explained({ op }, async () => {
      const protocol = this.#negotiate(op, signal)
      if (protocol === undefined) return []
      // By name, because one that is destroyed and made again meanwhile may come twice.
      const found = new Map<string, SetHeader>()
      const request: Request = { op, type: IPSET_CMD_LIST, body: listHeadersBody(protocol) }
      const onMessage: Parameters<typeof dump>[2] = (message) => {
        const header = readHeader(message)
        found.set(header.name, header)
      }
      await dump(this.#open, request, onMessage, signal, { restart: () => found.clear() })
      return [...found.values()]
    })
  }

  async create(spec: SetSpec, signal: AbortSignal): Promise<void> {
    const op = `create ${spec.name}`
    await explained({ op, type: spec.type }, () => {
      checkSpec(op, spec)
      const protocol = this.#agreed(op, signal)
      const revision = this.#revision(op, spec, protocol, signal)
      const body = createBody(protocol, revision, spec)
      this.#request({ op, type: IPSET_CMD_CREATE, flags: NLM_F_CREATE | NLM_F_EXCL, body }, signal)
    })
  }

  async destroy(name: string, signal: AbortSignal): Promise<void> {
    const op = `destroy ${name}`
    await explained({ op }, () => {
      checkName(op, name)
      const body = setBody(this.#agreed(op, signal), name)
      try {
        this.#request({ op, type: IPSET_CMD_DESTROY, body }, signal)
      } catch (error) {
        if (!(error instanceof KernelError) || error.code !== 'notFound') throw error
      }
    })
  }

  async swap(one: string, other: string, signal: AbortSignal): Promise<void> {
    const op = `swap ${one} ${other}`
    await explained({ op }, async () => {
      checkName(op, one)
      checkName(op, other)
      const request: Request = { op, type: IPSET_CMD_SWAP, body: swapBody(this.#agreed(op, signal), one, other) }
      for (const pause of swapPauses) {
        try {
          return this.#request(request, signal)
        } catch (error) {
          // EBUSY: a dump of one of them is under way (ip_set_swap of ip_set_core.c).
          if (!(error instanceof KernelError) || error.code !== 'busy') throw error
        }
        await sleep(pause, undefined, { signal }).catch(() => {})
        signal.throwIfAborted()
      }
      this.#request(request, signal)
    })
  }

  async members(set: SetRef, signal: AbortSignal): Promise<readonly Member[]> {
    const op = `list ${set.name}`
    return await explained({ op, type: set.type }, async () => {
      checkName(op, set.name)
      const request: Request = { op, type: IPSET_CMD_LIST, body: setBody(this.#agreed(op, signal), set.name) }
      const found = new Set<Member>()
      await dump(
        this.#open,
        request,
        (message) =>
          readMembers(
            message,
            set,
            (identity) => checkShape(op, identity, set),
            (value) => found.add(formatMember(value, set.family)),
          ),
        signal,
        { restart: () => found.clear() },
      )
      return [...found]
    })
  }

  async add(set: SetRef, members: Iterable<Member>, signal: AbortSignal): Promise<void> {
    await this.#change(`add ${set.name}`, IPSET_CMD_ADD, set, members, signal)
  }

  async remove(set: SetRef, members: Iterable<Member>, signal: AbortSignal): Promise<void> {
    await this.#change(`remove ${set.name}`, IPSET_CMD_DEL, set, members, signal)
  }

  /** Gives the sockets back; another call opens them again. */
  close(): void {
    this.#connection?.close()
    this.#writer?.close()
    this.#connection = undefined
    this.#writer = undefined
    this.#protocol = undefined
  }

  async #change(
    op: string,
    command: number,
    set: SetRef,
    members: Iterable<Member>,
    signal: AbortSignal,
  ): Promise<void> {
    await explained({ op, type: set.type }, async () => {
      signal.throwIfAborted()
      checkName(op, set.name)
      let protocol: number | undefined
      let batch: MemberBatch | undefined
      let pending: Member[] = []
      const flush = (): void => {
        if (batch === undefined) return
        try {
          this.#writer ??= this.#open()
          batch.exchange(this.#writer, op)
        } catch (error) {
          const refused = error instanceof KernelError && typeof error.tag === 'number' ? pending[error.tag] : undefined
          throw explain(error, { op, type: set.type, member: refused })
        }
        batch = undefined
        pending = []
      }
      let turn = performance.now()
      for (const member of members) {
        protocol ??= this.#agreedFor(op, set, signal)
        batch ??= new MemberBatch(command, { protocol, name: set.name }, this.#nextSequence(), this.#batchBytes)
        const value = parseMember(set, member)
        if (value === undefined) {
          if (batch.count > 0) flush()
          throw notMember(op, member, set.type)
        }
        batch.push(value)
        pending.push(member)
        if (!batch.full) continue
        flush()
        if (performance.now() - turn < slice) continue
        await nextTurn()
        signal.throwIfAborted()
        turn = performance.now()
      }
      flush()
    })
  }

  /** The protocol, when the set is what it is taken for: the kernel would add to a set of another type what it can. */
  #agreedFor(op: string, set: SetRef, signal: AbortSignal): number {
    const protocol = this.#agreed(op, signal)
    const request: Request = { op, type: IPSET_CMD_HEADER, body: setBody(protocol, set.name) }
    checkShape(op, this.#ask(request, readIdentity, signal), set)
    return protocol
  }

  #revision(op: string, spec: SetSpec, protocol: number, signal: AbortSignal): number {
    const request: Request = { op, type: IPSET_CMD_TYPE, body: typeBody(protocol, spec) }
    const revision = highest(this.#ask(request, readRevision, signal), { least: 0, most: knownRevision[spec.type] })
    if (revision !== undefined) return revision
    throw new IpsetError({ code: 'unsupported', op, reason: `the kernel's ${spec.type} is too new` })
  }

  #agreed(op: string, signal: AbortSignal): number {
    const protocol = this.#negotiate(op, signal)
    if (protocol !== undefined) return protocol
    throw new IpsetError({ code: 'unsupported', op, reason: 'the kernel has no ipset' })
  }

  /** Undefined where the kernel has no ipset. */
  #negotiate(op: string, signal: AbortSignal): number | undefined {
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

  #ask<T>(request: Request, read: (message: Parameters<typeof readHeader>[0]) => T, signal: AbortSignal): T {
    let answer: { readonly value: T } | undefined
    this.#connected().request(
      request,
      signal,
      (message) => {
        answer = { value: read(message) }
      },
      'reply',
    )
    if (answer === undefined) throw new KernelError({ code: 'io', op: request.op, detail: 'an empty answer' })
    return answer.value
  }

  #request(request: Request, signal: AbortSignal): void {
    this.#connected().request(request, signal)
  }

  #connected(): Connection {
    this.#connection ??= new Connection(this.#open())
    return this.#connection
  }

  #nextSequence(): number {
    this.#sequence = (this.#sequence + 1) >>> 0 || 1
    return this.#sequence
  }
}

/** The ipsets of the network namespace that this process is in. Opens nothing yet, so it never fails. */
export const openIpset = (options: NetlinkIpsetOptions = {}): NetlinkIpset => new NetlinkIpset(options)

const explained = async <T>(context: Parameters<typeof explain>[1], work: () => T | Promise<T>): Promise<T> => {
  try {
    return await work()
  } catch (error) {
    throw explain(error, context)
  }
}

const checkShape = (op: string, identity: SetIdentity, set: SetRef): void => {
  if (isOfShape(identity, set)) return
  const reason = `the set is ${identity.type} ${identity.family ?? ''}`.trimEnd()
  throw new IpsetError({ code: 'typeMismatch', op, reason: `${reason}, not ${set.type} ${set.family}` })
}

const highest = (offered: Offer, known: Offer): number | undefined => {
  const most = Math.min(offered.most, known.most)
  return most >= Math.max(offered.least, known.least) ? most : undefined
}

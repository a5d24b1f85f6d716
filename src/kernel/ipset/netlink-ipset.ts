import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import { NLM_F_CREATE, NLM_F_EXCL, protocols } from '../netlink/constants.ts'
import { dump } from '../netlink/dump.ts'
import { KernelError } from '../netlink/error.ts'
import type { Request } from '../netlink/request.ts'
import { openTransport, type Transport } from '../netlink/transport.ts'
import type { MessageReader } from '../netlink/wire.ts'
import { readHeader, readMembers } from './answers.ts'
import { MemberBatch } from './batch.ts'
import { checkName, checkSpec, notMember } from './check.ts'
import {
  IPSET_CMD_ADD,
  IPSET_CMD_CREATE,
  IPSET_CMD_DEL,
  IPSET_CMD_DESTROY,
  IPSET_CMD_LIST,
  IPSET_CMD_RENAME,
  IPSET_CMD_SWAP,
  IPSET_ERR_EXIST_SETNAME2,
} from './constants.ts'
import type { Ipset, SetHeader, SetRef, SetSpec } from './ipset.ts'
import { IpsetError } from './ipset-error.ts'
import { explain } from './kernel-refusal.ts'
import type { Member } from './member.ts'
import { formatMember, parseMember, unmarked } from './member-value.ts'
import { createBody, listHeadersBody, setBody, twoNamesBody } from './requests.ts'
import { checkShape, Session } from './session.ts'

export interface NetlinkIpsetOptions {
  /** Opens a socket of NETLINK_NETFILTER. */
  readonly open?: () => Transport
  /** Size of the messages that add and remove members, at most 65535. */
  readonly batchBytes?: number
}

/**
 * 100,000 members take 60 to 70 ms in messages of 4 to 64 KiB, and 90 in messages of 1 KiB. The kernel answers a refused
 * message with a copy, for which it may not find more than a few pages in a row.
 */
const usualBatchBytes = 16 * 1024
/** The length of an attribute has 16 bits. */
const mostBatchBytes = 0xffff

/** A socket of NETLINK_NETFILTER with room for large batches and their answers. */
export const openNetfilter = (): Transport =>
  openTransport({ protocol: protocols.netfilter, sendBuffer: 1 << 18, receiveBuffer: 1 << 20 })

/** Milliseconds to wait before each further attempt to swap sets that someone is reading. */
const swapPauses = [2, 5, 10, 20, 40, 80, 160]
/** Milliseconds of work after which the rest of the process gets its turn. */
const slice = 4

/** {@link Ipset} over nfnetlink, in the network namespace in which its sockets are opened: when they are first needed. */
export class NetlinkIpset implements Ipset {
  readonly #open: () => Transport
  readonly #batchBytes: number
  readonly #session: Session
  /** Only for members. */
  #writer: Transport | undefined
  #sequence = 0

  constructor({ open = openNetfilter, batchBytes = usualBatchBytes }: NetlinkIpsetOptions = {}) {
    this.#open = open
    this.#session = new Session(open)
    this.#batchBytes = Math.min(batchBytes, mostBatchBytes)
  }

  async list(signal: AbortSignal): Promise<readonly SetHeader[]> {
    const op = 'list sets'
    return await explained({ op }, async () => {
      const protocol = this.#session.negotiate(op, signal)
      if (protocol === undefined) return []
      // By name, because one that is destroyed and made again meanwhile may come twice.
      const found = new Map<string, SetHeader>()
      const request: Request = { op, type: IPSET_CMD_LIST, body: listHeadersBody(protocol) }
      const onMessage = (message: MessageReader): void => {
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
      const protocol = this.#session.protocol(op, signal)
      const revision = this.#session.revision(op, spec, protocol, signal)
      const body = createBody(protocol, revision, spec)
      this.#session.request({ op, type: IPSET_CMD_CREATE, flags: NLM_F_CREATE | NLM_F_EXCL, body }, signal)
    })
  }

  async destroy(name: string, signal: AbortSignal): Promise<void> {
    const op = `destroy ${name}`
    await explained({ op }, () => {
      checkName(op, name)
      const body = setBody(this.#session.protocol(op, signal), name)
      try {
        this.#session.request({ op, type: IPSET_CMD_DESTROY, body }, signal)
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
      const request: Request = {
        op,
        type: IPSET_CMD_SWAP,
        body: twoNamesBody(this.#session.protocol(op, signal), one, other),
      }
      for (const pause of swapPauses) {
        try {
          return this.#session.request(request, signal)
        } catch (error) {
          // EBUSY: a dump of one of them is under way (ip_set_swap of ip_set_core.c).
          if (!(error instanceof KernelError) || error.code !== 'busy') throw error
        }
        await sleep(pause, undefined, { signal }).catch(() => {})
        signal.throwIfAborted()
      }
      this.#session.request(request, signal)
    })
  }

  async rename(from: string, to: string, signal: AbortSignal): Promise<void> {
    const op = `rename ${from} ${to}`
    await explained({ op }, () => {
      checkName(op, from)
      checkName(op, to)
      const body = twoNamesBody(this.#session.protocol(op, signal), from, to)
      try {
        this.#session.request({ op, type: IPSET_CMD_RENAME, body }, signal)
      } catch (cause) {
        if (!(cause instanceof KernelError) || cause.errno !== IPSET_ERR_EXIST_SETNAME2) throw cause
        throw new IpsetError({ code: 'exists', op, reason: 'there is a set of the new name', cause })
      }
    })
  }

  async members(set: SetRef, signal: AbortSignal): Promise<readonly Member[]> {
    const op = `list ${set.name}`
    return await explained({ op, type: set.type }, async () => {
      checkName(op, set.name)
      const request: Request = { op, type: IPSET_CMD_LIST, body: setBody(this.#session.protocol(op, signal), set.name) }
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
    this.#session.close()
    this.#writer?.close()
    this.#writer = undefined
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
        if (protocol === undefined) {
          protocol = this.#session.protocol(op, signal)
          this.#session.checkSet(op, set, protocol, signal)
        }
        batch ??= new MemberBatch(command, { protocol, name: set.name }, this.#nextSequence(), this.#batchBytes)
        const value = parseMember(set, member)
        if (value === undefined) {
          if (batch.count > 0) flush()
          throw notMember(op, member, set.type)
        }
        // The kernel would refuse to remove a member with a mark from a set without marks.
        batch.push(command === IPSET_CMD_DEL ? unmarked(value) : value)
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

import { readAcknowledgement } from '../netlink/acknowledgement.ts'
import { NLM_F_ACK, NLM_F_CAPPED, NLM_F_REQUEST, NLMSG_ERROR, NLMSG_HDRLEN } from '../netlink/constants.ts'
import { KernelError, malformed } from '../netlink/error.ts'
import type { Transport } from '../netlink/transport.ts'
import { MessageReader, Reader, Writer } from '../netlink/wire.ts'
import { IPSET_ATTR_ADT, IPSET_ATTR_LINENO, NFGENMSG_LEN, NLA_F_NET_BYTEORDER } from './constants.ts'
import type { MemberValue } from './member-value.ts'
import { writeMember } from './member-wire.ts'
import { setBody } from './requests.ts'

/** More than any member takes: two IPv6 addresses and all the rest. */
const mostMemberBytes = 128

/** One message that adds or removes members; the kernel takes them one by one, in order, and stops at an error. */
export class MemberBatch {
  readonly #writer: Writer
  readonly #message: number
  readonly #list: number
  readonly #sequence: number
  readonly #bytes: number
  #count = 0

  /** Holds as many members as fit into `bytes`, at most 64 KiB as every attribute. */
  constructor(command: number, set: { protocol: number; name: string }, sequence: number, bytes: number) {
    this.#writer = new Writer(bytes + 2 * mostMemberBytes)
    this.#bytes = bytes
    this.#sequence = sequence
    // Without NLM_F_EXCL, "there already" and "gone already" are no errors (flag_exist of ip_set_core.c).
    this.#message = this.#writer.message(command, NLM_F_REQUEST | NLM_F_ACK, sequence)
    setBody(set.protocol, set.name)(this.#writer)
    // Here the kernel writes, in the copy of the message that it answers with, the line of the member it refused.
    this.#writer.u32be(IPSET_ATTR_LINENO | NLA_F_NET_BYTEORDER, 0)
    this.#list = this.#writer.nest(IPSET_ATTR_ADT)
  }

  get count(): number {
    return this.#count
  }

  get full(): boolean {
    return this.#writer.length + mostMemberBytes > this.#bytes
  }

  /** Not beyond {@link MemberBatch.full}. */
  push(value: MemberValue): void {
    this.#count++
    writeMember(this.#writer, value, this.#count)
  }

  /** Sends it and waits for the answer. Throws a KernelError; its tag is the number of the refused member, from 0. */
  exchange(transport: Transport, op: string): void {
    this.#writer.endNest(this.#list)
    this.#writer.endMessage(this.#message)
    transport.send(this.#writer.finish())
    for (;;) {
      const datagram = transport.receive()
      if (datagram === undefined) throw new KernelError({ code: 'io', op, detail: 'no answer' })
      const messages = new MessageReader(datagram)
      while (messages.next()) {
        // Another sequence is what an earlier, failed exchange left behind.
        if (messages.sequence !== this.#sequence || messages.type !== NLMSG_ERROR) continue
        const { errno, detail } = readAcknowledgement(messages)
        if (errno === 0) return
        const line = readLine(messages)
        throw KernelError.ofErrno(op, errno, { detail, tag: line > 0 && line <= this.#count ? line - 1 : undefined })
      }
    }
  }
}

/** Of the request that is copied behind the error; 0 when the error is about no member. */
const readLine = (messages: MessageReader): number => {
  // What is refused as a whole comes without a copy, as the socket asks for (NETLINK_CAP_ACK).
  if ((messages.flags & NLM_F_CAPPED) !== 0) return 0
  const copy = messages.start + 4 + NLMSG_HDRLEN + NFGENMSG_LEN
  const attributes = new Reader(messages.bytes, copy, messages.end)
  while (attributes.next()) if (attributes.type === IPSET_ATTR_LINENO) return attributes.u32be()
  throw malformed('refused batch without its line')
}

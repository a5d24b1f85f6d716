import { setImmediate as nextTurn } from 'node:timers/promises'
import { overrun, readRefusal } from './acknowledgement.ts'
import { NLM_F_ACK, NLMSG_ERROR, NLMSG_NOOP, NLMSG_OVERRUN } from './constants.ts'
import { type Datagram, limitsOf, Packer } from './datagram.ts'
import { KernelError } from './error.ts'
import { encodeRequest, type Request } from './request.ts'
import { type Transport, usualBuffers } from './transport.ts'
import { MessageReader } from './wire.ts'

/** One request of an exchange that the kernel did not carry out, or that could not be sent. */
export interface Refusal {
  /** Of the request, from 0. */
  readonly index: number
  /** Its `op` is that of the request, its `offset` counts from the header of that message. */
  readonly error: KernelError
}

/** Requests and their replies over one socket, one at a time. Synchronous, as the kernel is. */
export class Connection {
  readonly #transport: Transport
  #sequence = 0

  constructor(transport: Transport) {
    this.#transport = transport
  }

  get portId(): number {
    return this.#transport.portId
  }

  /**
   * Sends `request` and reads until it is acknowledged (`until: 'ack'`) or, for requests that are always answered,
   * until the first reply (`until: 'reply'`, one system call less). Throws what the kernel answers; `overflow` when
   * replies were lost, so that what became of the request is unknown.
   */
  request(
    request: Request,
    signal: AbortSignal,
    onReply: (message: MessageReader) => void = () => {},
    until: 'ack' | 'reply' = 'ack',
  ): void {
    signal.throwIfAborted()
    const sequence = this.#nextSequences(1)
    this.#transport.send(encodeRequest(request, until === 'ack' ? NLM_F_ACK : 0, sequence))
    for (;;) {
      const messages = new MessageReader(this.#receive(request.op))
      while (messages.next()) {
        // What an earlier, failed exchange left behind.
        if (messages.type === NLMSG_OVERRUN) throw overrun(request.op)
        if (messages.sequence !== sequence || messages.type === NLMSG_NOOP) continue
        if (messages.type === NLMSG_ERROR) {
          const refusal = readRefusal(messages, request.op)
          if (refusal !== undefined) throw refusal
          return
        }
        onReply(messages)
        if (until === 'reply') return
      }
    }
  }

  /**
   * Carries out many requests, in order, in as few datagrams as the socket's buffers allow, and returns those that were
   * refused, by index; the others were carried out whatever became of their neighbours. Other work of the process gets
   * its turn between two datagrams, other requests over this connection too.
   *
   * `onReply` hears what is answered besides (NLM_F_ECHO, questions). No dumps.
   *
   * @throws KernelError `overflow` when answers were lost, which acknowledgements and refusals alone never cause: what
   *   became of the requests of one datagram is unknown then, and the later ones were not sent. The reason of `signal`
   *   between two datagrams.
   */
  async exchange(
    requests: readonly Request[],
    signal: AbortSignal,
    onReply: (message: MessageReader, index: number) => void = () => {},
  ): Promise<readonly Refusal[]> {
    const limits = limitsOf(this.#transport.buffers ?? usualBuffers)
    const packer = new Packer(limits)
    const refusals: Refusal[] = []
    for (let next = 0; next < requests.length; ) {
      if (next > 0) await nextTurn()
      signal.throwIfAborted()
      const sequence = this.#nextSequences(Math.min(limits.messages, requests.length - next))
      const datagram = packer.pack(requests, next, sequence)
      refusals.push(...datagram.unsendable)
      if (datagram.indexes.length > 0) {
        this.#transport.send(datagram.bytes)
        this.#readAnswers(datagram, requests, refusals, onReply)
      }
      next = datagram.next
    }
    return refusals.sort((a, b) => a.index - b.index)
  }

  close(): void {
    this.#transport.close()
  }

  /** Until the last message is answered: the only one that is, unless refused. */
  #readAnswers(
    { sequence, indexes }: Datagram,
    requests: readonly Request[],
    refusals: Refusal[],
    onReply: (message: MessageReader, index: number) => void,
  ): void {
    const first = opOf(requests, indexes[0])
    const op = indexes.length === 1 ? first : `${first} and ${indexes.length - 1} more`
    for (;;) {
      const messages = new MessageReader(this.#receive(op))
      while (messages.next()) {
        if (messages.type === NLMSG_OVERRUN) throw overrun(op)
        const position = messages.sequence - sequence
        const index = indexes[position]
        if (index === undefined || messages.type === NLMSG_NOOP) continue
        if (messages.type !== NLMSG_ERROR) {
          onReply(messages, index)
          continue
        }
        const error = readRefusal(messages, opOf(requests, index))
        if (error !== undefined) refusals.push({ index, error })
        if (position === indexes.length - 1) return
      }
    }
  }

  #receive(op: string): Uint8Array {
    let datagram: Uint8Array | undefined
    try {
      datagram = this.#transport.receive()
    } catch (error) {
      if (!(error instanceof KernelError) || error.code !== 'overflow') throw error
      this.#discard()
      const detail = 'answers were lost, what became of it is unknown'
      throw new KernelError({ code: 'overflow', op, errno: error.errno, detail, cause: error })
    }
    if (datagram === undefined) throw new KernelError({ code: 'io', op, detail: 'no answer' })
    return datagram
  }

  /** After an overflow the kernel drops everything until nothing waits any more. */
  #discard(): void {
    for (;;) {
      try {
        if (this.#transport.receive() === undefined) return
      } catch (error) {
        if (!(error instanceof KernelError) || error.code !== 'overflow') throw error
      }
    }
  }

  /** The first of `count` numbers in a row, none of them 0. */
  #nextSequences(count: number): number {
    const first = this.#sequence + count > 0xffff_ffff ? 1 : this.#sequence + 1
    this.#sequence = first + count - 1
    return first
  }
}

const opOf = (requests: readonly Request[], index: number | undefined): string =>
  (index === undefined ? undefined : requests[index])?.op ?? ''

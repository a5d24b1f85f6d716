import { NLM_F_ACK } from './constants.ts'
import { KernelError } from './error.ts'
import { type Request, writeRequest } from './request.ts'
import { type Buffers, sendOverhead } from './transport.ts'
import { Writer } from './wire.ts'

export interface DatagramLimits {
  readonly bytes: number
  readonly messages: number
}

/** Requests that the kernel takes one by one, in this order, from one send(). */
export interface Datagram {
  /** Valid until the next one is packed by the same {@link Packer}. */
  readonly bytes: Uint8Array
  /** Of the first message; the others follow without a gap. */
  readonly sequence: number
  /** Which request each message is. */
  readonly indexes: readonly number[]
  /** Requests that cannot be sent at all. */
  readonly unsendable: readonly { readonly index: number; readonly error: KernelError }[]
  /** The request that begins the next datagram. */
  readonly next: number
}

/** A longer datagram gains no speed, and would keep the event loop waiting. */
const mostBytes = 256 * 1024
/** What an error with its extended ACK occupies in a receive buffer, generously: 1,280 bytes and less were seen. */
const bytesPerAnswer = 2048

/** So that the socket takes the datagram, and has room for the answers if every request is refused. */
export const limitsOf = ({ send, receive }: Buffers): DatagramLimits => ({
  bytes: Math.min(mostBytes, send - sendOverhead),
  messages: Math.max(1, Math.floor(receive / bytesPerAnswer)),
})

/** Packs one datagram after the other into the same memory. */
export class Packer {
  readonly #limits: DatagramLimits
  readonly #writer: Writer

  constructor(limits: DatagramLimits) {
    this.#limits = limits
    this.#writer = new Writer(Math.min(limits.bytes, 16 * 1024))
  }

  /** As many requests from `from` on as fit. */
  pack(requests: readonly Request[], from: number, sequence: number): Datagram {
    this.#writer.cut(0)
    return packInto(this.#writer, requests, from, sequence, this.#limits)
  }
}

/**
 * Only the last request asks for an acknowledgement; the kernel tells of errors without being asked (netlink_rcv_skb() of
 * net/netlink/af_netlink.c).
 */
const packInto = (
  writer: Writer,
  requests: readonly Request[],
  from: number,
  sequence: number,
  limits: DatagramLimits,
): Datagram => {
  const indexes: number[] = []
  const unsendable: { index: number; error: KernelError }[] = []
  let last = 0
  let next = from
  for (const request of requests.slice(from, from + limits.messages)) {
    const start = writer.length
    const error = tryToWrite(writer, request, sequence + indexes.length, limits.bytes)
    if (error === undefined) {
      last = start
      indexes.push(next)
    } else {
      writer.cut(start)
      // What did not fit behind others may fit alone.
      if (error.code === 'tooLarge' && start > 0) break
      unsendable.push({ index: next, error })
    }
    next++
  }
  if (indexes.length > 0) writer.addFlags(last, NLM_F_ACK)
  return { bytes: writer.finish(), sequence, indexes, unsendable, next }
}

const tryToWrite = (writer: Writer, request: Request, sequence: number, most: number): KernelError | undefined => {
  const start = writer.length
  try {
    writeRequest(writer, request, 0, sequence)
    writer.align()
  } catch (error) {
    if (error instanceof KernelError) return error
    throw error
  }
  if (writer.length <= most) return undefined
  const detail = `${writer.length - start} bytes where the socket takes ${most}`
  return new KernelError({ code: 'tooLarge', op: request.op, detail })
}

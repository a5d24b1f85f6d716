import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import {
  NLM_F_ACK,
  NLM_F_ACK_TLVS,
  NLM_F_CAPPED,
  NLM_F_DUMP,
  NLM_F_DUMP_INTR,
  NLM_F_REQUEST,
  NLMSG_DONE,
  NLMSG_ERROR,
  NLMSG_HDRLEN,
  NLMSG_NOOP,
  NLMSGERR_ATTR_MSG,
  NLMSGERR_ATTR_OFFS,
} from './constants.ts'
import { KernelError } from './error.ts'
import type { Transport } from './transport.ts'
import { align4, MessageReader, Reader, Writer } from './wire.ts'

export interface Request {
  /** For errors. */
  readonly op: string
  readonly type: number
  /** Besides REQUEST, and ACK or DUMP. */
  readonly flags?: number
  /** Everything after the message header. */
  readonly body?: (writer: Writer) => void
}

/** An NLMSG_ERROR: errno 0 is an acknowledgement. `offset` counts from the header of the request. */
export interface Acknowledgement {
  readonly errno: number
  readonly detail: string | undefined
  readonly offset: number | undefined
}

/** Reads the NLMSG_ERROR that `messages` stands on. */
export const readAcknowledgement = (messages: MessageReader): Acknowledgement => {
  const errno = 0 - messages.s32host(0)
  let detail: string | undefined
  let offset: number | undefined
  if ((messages.flags & NLM_F_ACK_TLVS) !== 0) {
    const echoed = errno === 0 || (messages.flags & NLM_F_CAPPED) !== 0 ? NLMSG_HDRLEN : align4(messages.u32host(4))
    const attributes = new Reader(messages.bytes, Math.min(messages.start + 4 + echoed, messages.end), messages.end)
    while (attributes.next()) {
      if (attributes.type === NLMSGERR_ATTR_MSG) detail = attributes.string()
      else if (attributes.type === NLMSGERR_ATTR_OFFS) offset = attributes.u32host()
    }
  }
  return { errno, detail, offset }
}

const encode = (request: Request, flags: number, sequence: number): Uint8Array => {
  const writer = new Writer(256)
  const message = writer.message(request.type, NLM_F_REQUEST | flags | (request.flags ?? 0), sequence)
  request.body?.(writer)
  writer.endMessage(message)
  return writer.finish()
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
    const sequence = this.#nextSequence()
    this.#transport.send(encode(request, until === 'ack' ? NLM_F_ACK : 0, sequence))
    for (;;) {
      const datagram = this.#transport.receive()
      if (datagram === undefined) throw new KernelError({ code: 'io', op: request.op, detail: 'no answer' })
      const messages = new MessageReader(datagram)
      while (messages.next()) {
        // What an earlier, failed exchange left behind.
        if (messages.sequence !== sequence || messages.type === NLMSG_NOOP) continue
        if (messages.type === NLMSG_ERROR) {
          const { errno, detail, offset } = readAcknowledgement(messages)
          if (errno !== 0) throw KernelError.ofErrno(request.op, errno, { detail, offset })
          return
        }
        onReply(messages)
        if (until === 'reply') return
      }
    }
  }

  close(): void {
    this.#transport.close()
  }

  #nextSequence(): number {
    this.#sequence = (this.#sequence + 1) >>> 0 || 1
    return this.#sequence
  }
}

export interface DumpOptions {
  /**
   * Called before the dump starts over because something changed while it ran: forget what came so far. Without it
   * such a change throws `interrupted` at once; with it, after ten attempts within two seconds or so.
   */
  readonly restart?: () => void
  /** Where NLM_F_DUMP_INTR is not set: a number that every message of one consistent dump has in common. */
  readonly generationOf?: (message: MessageReader) => number
}

/** Milliseconds to wait before each further attempt. */
const pauses = [5, 10, 20, 40, 80, 160, 320, 640, 640]
/** Milliseconds of decoding after which other work of the process gets its turn. */
const slice = 4

/**
 * Reads a whole dump over a socket of its own, because a socket can run only one at a time and may be left in the
 * middle. `onMessage` gets a view that is valid during the call; it throws `interrupted` when it finds that the dump is
 * not consistent.
 */
export const dump = async (
  open: () => Transport,
  request: Request,
  onMessage: (message: MessageReader) => void,
  signal: AbortSignal,
  { restart, generationOf }: DumpOptions = {},
): Promise<void> => {
  for (let attempt = 0; ; attempt++) {
    signal.throwIfAborted()
    const transport = open()
    let inconsistency: KernelError
    try {
      await dumpOnce(transport, request, onMessage, signal, generationOf)
      return
    } catch (error) {
      if (!(error instanceof KernelError) || error.code !== 'interrupted') throw error
      inconsistency = error
    } finally {
      transport.close()
    }
    const pause = pauses[attempt]
    if (restart === undefined || pause === undefined) throw inconsistency
    // Ends early when aborted; the reason is thrown below.
    await sleep(pause, undefined, { signal }).catch(() => {})
    signal.throwIfAborted()
    restart()
  }
}

const dumpOnce = async (
  transport: Transport,
  request: Request,
  onMessage: (message: MessageReader) => void,
  signal: AbortSignal,
  generationOf: ((message: MessageReader) => number) | undefined,
): Promise<void> => {
  const changed = (): KernelError =>
    new KernelError({ code: 'interrupted', op: request.op, detail: 'changed while it was read' })
  let generation: number | undefined
  transport.send(encode(request, NLM_F_DUMP, 1))
  let turn = performance.now()
  for (;;) {
    const datagram = transport.receive()
    if (datagram === undefined) throw new KernelError({ code: 'io', op: request.op, detail: 'dump has no end' })
    const messages = new MessageReader(datagram)
    while (messages.next()) {
      if ((messages.flags & NLM_F_DUMP_INTR) !== 0) throw changed()
      if (messages.type === NLMSG_DONE || messages.type === NLMSG_ERROR) {
        const { errno, detail, offset } =
          messages.type === NLMSG_ERROR
            ? readAcknowledgement(messages)
            : { errno: 0 - messages.s32host(0), detail: undefined, offset: undefined }
        if (errno !== 0) throw KernelError.ofErrno(request.op, errno, { detail, offset })
        return
      }
      if (messages.type === NLMSG_NOOP) continue
      const current = generationOf?.(messages)
      generation ??= current
      if (current !== generation) throw changed()
      onMessage(messages)
    }
    if (performance.now() - turn > slice) {
      await nextTurn()
      signal.throwIfAborted()
      turn = performance.now()
    }
  }
}

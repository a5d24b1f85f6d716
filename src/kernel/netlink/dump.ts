import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import { overrun, readRefusal } from './acknowledgement.ts'
import { NLM_F_DUMP, NLM_F_DUMP_INTR, NLMSG_DONE, NLMSG_ERROR, NLMSG_NOOP, NLMSG_OVERRUN } from './constants.ts'
import { KernelError } from './error.ts'
import { encodeRequest, type Request } from './request.ts'
import type { Transport } from './transport.ts'
import { MessageReader } from './wire.ts'

export interface DumpOptions {
  /**
   * Called before the dump starts over because something changed while it ran: forget what came so far. Without it
   * such a change throws `interrupted` at once; with it, after ten attempts within two seconds or so.
   */
  readonly restart?: () => void
  /** The kernel walks a table for it that may be large with little in it to tell: other work goes on meanwhile. */
  readonly onThread?: boolean
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
 *
 * @throws KernelError what the kernel answers, in the middle too; `interrupted` when changes kept colliding with it;
 *   `overflow` when parts of it were lost
 */
export const dump = async (
  open: () => Transport,
  request: Request,
  onMessage: (message: MessageReader) => void,
  signal: AbortSignal,
  options: DumpOptions = {},
): Promise<void> => {
  for (let attempt = 0; ; attempt++) {
    signal.throwIfAborted()
    const transport = open()
    let inconsistency: KernelError
    try {
      await dumpOnce(transport, request, onMessage, signal, options)
      return
    } catch (error) {
      if (!(error instanceof KernelError) || error.code !== 'interrupted') throw error
      inconsistency = error
    } finally {
      transport.close()
    }
    const pause = pauses[attempt]
    if (options.restart === undefined || pause === undefined) throw inconsistency
    // Ends early when aborted; the reason is thrown below.
    await sleep(pause, undefined, { signal }).catch(() => {})
    signal.throwIfAborted()
    options.restart()
  }
}

const dumpOnce = async (
  transport: Transport,
  request: Request,
  onMessage: (message: MessageReader) => void,
  signal: AbortSignal,
  { generationOf, onThread = false }: DumpOptions,
): Promise<void> => {
  const changed = (): KernelError =>
    new KernelError({ code: 'interrupted', op: request.op, detail: 'changed while it was read' })
  let generation: number | undefined
  const bytes = encodeRequest(request, NLM_F_DUMP, 1)
  if (onThread) await transport.sendAsync(bytes, signal)
  else transport.send(bytes)
  let turn = performance.now()
  for (;;) {
    const datagram = onThread ? await receiveOnThread(transport) : transport.receive()
    if (datagram === undefined) throw new KernelError({ code: 'io', op: request.op, detail: 'dump has no end' })
    const messages = new MessageReader(datagram)
    while (messages.next()) {
      if ((messages.flags & NLM_F_DUMP_INTR) !== 0) throw changed()
      if (messages.type === NLMSG_DONE || messages.type === NLMSG_ERROR) {
        const refusal = readRefusal(messages, request.op)
        if (refusal !== undefined) throw refusal
        return
      }
      if (messages.type === NLMSG_NOOP) continue
      if (messages.type === NLMSG_OVERRUN) throw overrun(request.op)
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

const receiveOnThread = async (transport: Transport): Promise<Uint8Array | undefined> =>
  transport.receiveAsync === undefined ? transport.receive() : await transport.receiveAsync()

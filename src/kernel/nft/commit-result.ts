import { type Acknowledgement, readAcknowledgement } from '../netlink/acknowledgement.ts'
import { NLMSG_ERROR } from '../netlink/constants.ts'
import { KernelError } from '../netlink/error.ts'
import { MessageReader } from '../netlink/wire.ts'
import type { Batch } from './batch.ts'

/**
 * What the kernel said to a batch.
 *
 * - `confirmed`: it acknowledged BATCH_END without a refusal. Acknowledged inner messages prove nothing.
 * - `silent`: nothing at all. Before Linux 6.10 BATCH_END is not acknowledged, and that is success.
 * - `lost`: replies were dropped and none of what is left is a refusal. Only the generation tells.
 */
export type CommitReply =
  | { readonly kind: 'confirmed' | 'silent' }
  | { readonly kind: 'lost'; readonly cause: KernelError }
  | { readonly kind: 'refused'; readonly error: KernelError }

interface Refusal extends Acknowledgement {
  readonly sequence: number
}

/** Reads the replies to `batch`, which are all there once it has been sent: none is left for the next batch to find. */
export const readCommitReply = (receive: () => Uint8Array | undefined, batch: Batch): CommitReply => {
  const refusals: Refusal[] = []
  let ended = false
  let lost: KernelError | undefined
  while (!ended) {
    let datagram: Uint8Array | undefined
    try {
      datagram = receive()
    } catch (error) {
      if (!(error instanceof KernelError) || error.code !== 'overflow') throw error
      lost = error
      continue
    }
    if (datagram === undefined) break
    const messages = new MessageReader(datagram)
    while (messages.next()) {
      if (messages.type !== NLMSG_ERROR) continue
      const answer = readAcknowledgement(messages)
      if (answer.errno !== 0) refusals.push({ ...answer, sequence: messages.sequence })
      else if (messages.sequence === batch.lastSequence) ended = true
    }
  }
  const [first] = refusals
  if (first !== undefined) return { kind: 'refused', error: refused(batch, first, refusals.length) }
  if (ended) return { kind: 'confirmed' }
  return lost === undefined ? { kind: 'silent' } : { kind: 'lost', cause: lost }
}

export const commitName = ({ family, table }: Batch): string => `commit to ${family} ${table}`

const refused = (batch: Batch, { sequence, errno, detail, offset }: Refusal, count: number): KernelError => {
  const more = count === 1 ? undefined : `${count} messages were refused, of which this is the first`
  const said = [detail, more].filter((part) => part !== undefined).join('; ')
  return KernelError.ofErrno(commitName(batch), errno, {
    detail: said === '' ? undefined : said,
    offset,
    tag: batch.tagOf(sequence, offset),
  })
}

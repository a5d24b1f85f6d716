import type { Transport } from '../../src/kernel/netlink/transport.ts'

/** A netlink socket in memory, for requests and their answers: `send` puts these into `waiting`. */
export abstract class QueuedTransport implements Transport {
  readonly portId = 1
  protected waiting: Uint8Array[] = []

  abstract send(bytes: Uint8Array): void

  receive(): Uint8Array | undefined {
    return this.waiting.shift()
  }

  sendAsync(): never {
    throw new Error('unused')
  }
  join(): void {}
  leave(): void {}
  close(): void {}
}

/** A message of a capture of netlink traffic, in hexadecimal digits. */
export interface Captured {
  readonly dir: 'send' | 'recv'
  readonly hex: string
}

/** What the kernel answered in a capture, by a key of the request. */
export const answersIn = (
  messages: readonly Captured[],
  keyOf: (request: Uint8Array) => string,
): Map<string, readonly string[]> => {
  const answers = new Map<string, readonly string[]>()
  messages.forEach(({ dir, hex }, i) => {
    if (dir !== 'send') return
    const found: string[] = []
    for (let k = i + 1; messages[k]?.dir === 'recv'; k++) found.push(messages[k]?.hex ?? '')
    answers.set(keyOf(Buffer.from(hex, 'hex')), found)
  })
  return answers
}

/** An answer of a capture, with the sequence number of this request. */
export const answerTo = (request: Uint8Array, hex: string): Uint8Array => {
  const answer = Buffer.from(hex, 'hex')
  answer.set(request.subarray(8, 12), 8)
  return answer
}

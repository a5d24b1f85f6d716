import { setTimeout as sleep } from 'node:timers/promises'
import type { Protocol } from '../../src/model/protocol.ts'
import type { Place } from '../flows/net.ts'
import type { Front } from '../flows/objects.ts'
import type { Stage } from './stage.ts'

const everyMs = 50
const limitMs = 3_000

export interface SenderOptions {
  readonly stage: Stage
  readonly front: Front
  readonly sourcePort: number
  readonly from?: Place
  readonly protocol?: Protocol
}

/** A client that never pauses: one datagram every 50 ms from one port, so conntrack never forgets its flow. */
export class Sender {
  readonly front: Front
  readonly #options: SenderOptions
  readonly #ended = new AbortController()
  readonly #running: Promise<void>
  #outcomes: string[] = []

  constructor(options: SenderOptions) {
    this.front = options.front
    this.#options = options
    this.#running = this.#run()
  }

  /** What became of each datagram that is sent from now on, until one comes to `end`: the pod that answers, or why not. */
  async until(end: string): Promise<readonly string[]> {
    const outcomes: string[] = []
    this.#outcomes = outcomes
    const limit = Date.now() + limitMs
    while (!outcomes.includes(end) && Date.now() < limit) await sleep(10)
    return outcomes.slice(0, outcomes.indexOf(end) + 1 || undefined)
  }

  /** What becomes of the next few. */
  async next(count = 3): Promise<readonly string[]> {
    const outcomes: string[] = []
    this.#outcomes = outcomes
    const limit = Date.now() + limitMs
    // The first may have been on its way already.
    while (outcomes.length <= count && Date.now() < limit) await sleep(10)
    return outcomes.slice(1, count + 1)
  }

  async end(): Promise<void> {
    this.#ended.abort()
    await this.#running
  }

  async #run(): Promise<void> {
    const { stage, front, sourcePort, from = 'client', protocol = 'UDP' } = this.#options
    const { ip: address, port } = front
    while (!this.#ended.signal.aborted) {
      const outcomes = this.#outcomes
      const ask = { protocol, address, port, sourcePort, timeoutMs: everyMs } as const
      const [outcome] = await Promise.all([stage.host(from).ask(ask), sleep(everyMs)])
      outcomes.push(outcome.kind === 'answered' ? outcome.name : outcome.kind)
    }
  }
}

import type { Conntrack, Flow } from '../../../kernel/conntrack/conntrack.ts'
import type { Family } from '../../../model/ip.ts'
import type { SocketAddress } from '../forwarding.ts'

/** Makes conntrack forget the UDP flows that it would go on translating to a socket that is gone. */
export class StaleFlows {
  readonly #conntrack: Conntrack
  readonly #onFailure: (error: unknown) => void
  #failing = false

  /** `onFailure` hears of the first failure in a row: without permission or ctnetlink every one fails. */
  constructor(conntrack: Conntrack, onFailure: (error: unknown) => void = () => {}) {
    this.#conntrack = conntrack
    this.#onFailure = onFailure
  }

  /**
   * Deletes the flows whose answers come from these sockets. Reads nothing for no sockets. Rejects with the signal's
   * reason only: without it flows of clients that do not pause stay where they are, and nothing else is lost.
   */
  async forget(family: Family, sockets: readonly SocketAddress[], signal: AbortSignal): Promise<void> {
    if (sockets.length === 0) return
    const gone = new Set(sockets.map(({ address, port }) => `${address} ${port}`))
    const stale: Flow[] = []
    try {
      await this.#conntrack.flows(
        { family, protocol: 'UDP' },
        (flow) => {
          if (gone.has(`${flow.reply.source} ${flow.reply.sourcePort}`)) stale.push(flow)
        },
        signal,
      )
      for (const flow of stale) await this.#conntrack.delete(flow, signal)
      this.#failing = false
    } catch (error) {
      signal.throwIfAborted()
      if (!this.#failing) this.#onFailure(error)
      this.#failing = true
    }
  }
}

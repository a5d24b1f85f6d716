import { type Flow, type PassingFlow, sameEnd } from '../../model/flow.ts'
import type { Conntrack, ConntrackStats, Deletion, FlowFilter } from './conntrack.ts'

/** {@link Conntrack} in memory. */
export class FakeConntrack implements Conntrack {
  readonly table: Set<Flow>
  /** How often the table was read. */
  reads = 0
  /** Every call fails with it. */
  fail: Error | undefined
  /** Entries that cannot be deleted. */
  readonly busy = new Map<Flow, Error>()
  /** Awaited in the middle of every reading, and at the end of it. */
  meanwhile: (() => Promise<void> | void) | undefined

  constructor(table: Iterable<Flow> = []) {
    this.table = new Set(table)
  }

  async flows(
    { family, protocol }: FlowFilter,
    onFlow: (flow: PassingFlow) => void,
    signal: AbortSignal,
  ): Promise<void> {
    this.#begin(signal)
    this.reads++
    const all = [...this.table].filter((flow) => flow.family === family && flow.protocol === protocol)
    const half = all.length >> 1
    for (const flow of all.slice(0, half)) onFlow({ ...flow, copy: () => flow })
    await this.meanwhile?.()
    signal.throwIfAborted()
    for (const flow of all.slice(half)) onFlow({ ...flow, copy: () => flow })
    await this.meanwhile?.()
  }

  async delete(flows: readonly Flow[], signal: AbortSignal): Promise<Deletion> {
    this.#begin(signal)
    const refusals: Error[] = []
    let deleted = 0
    for (const flow of flows) {
      const known = [...this.table].find((one) => isSame(one, flow))
      if (known === undefined) continue
      const refusal = this.busy.get(known)
      if (refusal === undefined) {
        this.table.delete(known)
        deleted++
      } else refusals.push(refusal)
    }
    return { deleted, refusals }
  }

  async stats(signal: AbortSignal): Promise<ConntrackStats> {
    this.#begin(signal)
    return { entries: this.table.size, limit: 262_144, counters: new Map([['insert_failed', 0]]) }
  }

  #begin(signal: AbortSignal): void {
    signal.throwIfAborted()
    if (this.fail !== undefined) throw this.fail
  }
}

/** As the kernel tells entries apart. */
const isSame = (one: Flow, other: Flow): boolean =>
  one.id === other.id &&
  one.zone === other.zone &&
  one.family === other.family &&
  one.protocol === other.protocol &&
  sameEnd(one.source, other.source) &&
  sameEnd(one.destination, other.destination)

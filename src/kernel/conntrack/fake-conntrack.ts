import { isDeepStrictEqual } from 'node:util'
import type { Conntrack, Flow, FlowFilter } from './conntrack.ts'

/** {@link Conntrack} in memory. */
export class FakeConntrack implements Conntrack {
  readonly table: Set<Flow>
  /** How often the table was read. */
  reads = 0
  /** Every call fails with it. */
  fail: Error | undefined

  constructor(table: Iterable<Flow> = []) {
    this.table = new Set(table)
  }

  async flows({ family, protocol }: FlowFilter, onFlow: (flow: Flow) => void, signal: AbortSignal): Promise<void> {
    this.#begin(signal)
    this.reads++
    for (const flow of this.table) if (flow.family === family && flow.protocol === protocol) onFlow(flow)
  }

  async delete(flow: Flow, signal: AbortSignal): Promise<boolean> {
    this.#begin(signal)
    for (const known of this.table) if (isSame(known, flow)) return this.table.delete(known)
    return false
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
  isDeepStrictEqual(one.original, other.original)

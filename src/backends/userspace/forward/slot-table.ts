import type { Target } from '../../../model/desired.ts'
import { type CounterBlock, Counters, createBlock, type SlotRef, slotsPerBlock } from './counters.ts'
import type { EndpointStats, ServerStats, Traffic, VirtualServerSpec } from './forwarder.ts'
import type { ServerSetup } from './messages.ts'

interface Counted {
  target: Target
  readonly counters: Counters
}

interface Entry {
  spec: VirtualServerSpec
  readonly counters: Counters
  readonly endpoints: Map<string, Counted>
  /** No longer targets; listed as long as they have connections. */
  readonly draining: Map<string, Counted>
}

const keyOf = ({ ip, port }: Target): string => `${ip} ${port}`
const busy = ({ active, inactive }: Counters): boolean => active + inactive > 0

/**
 * Who has which slot of the counters; the one place that gives them out and takes them back. A slot is free again when
 * its owner is gone in every thread and its last connection has ended.
 */
export class SlotTable {
  readonly #threads: number
  readonly #blocks: CounterBlock[] = []
  #untold: CounterBlock[] = []
  readonly #free: SlotRef[] = []
  readonly #entries = new Map<string, Entry>()
  /** Taken away, but with connections that still go on. */
  readonly #leaving = new Set<Entry>()

  constructor(threads: number) {
    this.#threads = threads
  }

  /** Blocks that came since the last call, for the threads. */
  takeBlocks(): readonly CounterBlock[] {
    const blocks = this.#untold
    this.#untold = []
    return blocks
  }

  put(spec: VirtualServerSpec): ServerSetup {
    const known = this.#entries.get(spec.id)
    if (known !== undefined && known.spec.protocol !== spec.protocol) this.remove(spec.id)
    const entry = this.#entries.get(spec.id) ?? this.#create(spec)
    entry.spec = spec
    const before = new Map(entry.endpoints)
    entry.endpoints.clear()
    const slots = spec.targets.map((target) => {
      const key = keyOf(target)
      const counted = before.get(key) ?? entry.draining.get(key) ?? { target, counters: this.#allocate() }
      before.delete(key)
      entry.draining.delete(key)
      counted.target = target
      entry.endpoints.set(key, counted)
      return counted.counters.ref
    })
    for (const [key, counted] of before) entry.draining.set(key, counted)
    return { spec, slot: entry.counters.ref, slots }
  }

  remove(id: string): void {
    const entry = this.#entries.get(id)
    if (entry === undefined) return
    this.#entries.delete(id)
    for (const [key, counted] of entry.endpoints) entry.draining.set(key, counted)
    entry.endpoints.clear()
    this.#leaving.add(entry)
  }

  /** Takes slots back. Call it only while every thread knows the newest state. */
  reclaim(): void {
    for (const entry of [...this.#entries.values(), ...this.#leaving]) {
      for (const [key, { counters }] of entry.draining) {
        if (busy(counters)) continue
        entry.draining.delete(key)
        this.#release(counters)
      }
    }
    for (const entry of this.#leaving) {
      if (entry.draining.size > 0 || busy(entry.counters)) continue
      this.#leaving.delete(entry)
      this.#release(entry.counters)
    }
  }

  /** `now`: by the clock of the ejections. */
  stats(now: number): readonly ServerStats[] {
    return [...this.#entries.values(), ...this.#leaving].map(({ spec, counters, endpoints, draining }) => ({
      id: spec.id,
      protocol: spec.protocol,
      ...traffic(counters),
      limited: counters.limited,
      endpoints: [
        ...[...endpoints.values()].map((counted) => endpointStats(counted, false, now)),
        ...[...draining.values()]
          .filter(({ counters }) => busy(counters))
          .map((counted) => endpointStats(counted, true, now)),
      ],
    }))
  }

  #create(spec: VirtualServerSpec): Entry {
    const entry = { spec, counters: this.#allocate(), endpoints: new Map(), draining: new Map() }
    this.#entries.set(spec.id, entry)
    return entry
  }

  #allocate(): Counters {
    if (this.#free.length === 0) this.#grow()
    const ref = this.#free.pop()
    const block = ref === undefined ? undefined : this.#blocks[ref.block]
    if (ref === undefined || block === undefined) throw new RangeError('no slot is free')
    return new Counters(block, ref, 0)
  }

  #grow(): void {
    const block = createBlock(this.#threads)
    const number = this.#blocks.push(block) - 1
    this.#untold.push(block)
    for (let index = slotsPerBlock - 1; index >= 0; index--) this.#free.push({ block: number, index })
  }

  #release(counters: Counters): void {
    counters.clear()
    this.#free.push(counters.ref)
  }
}

const traffic = ({ active, inactive, total, failed, bytesIn, bytesOut }: Counters): Traffic => ({
  active,
  inactive,
  total,
  failed,
  bytesIn,
  bytesOut,
})

const endpointStats = ({ target, counters }: Counted, draining: boolean, now: number): EndpointStats => {
  const left = counters.ejectedUntil - now
  return {
    ip: target.ip,
    port: target.port,
    weight: target.weight,
    ...traffic(counters),
    draining,
    ejectedMs: counters.level > 0 && left > 0 ? left : undefined,
  }
}

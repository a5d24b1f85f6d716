import type { Flow, FlowEnd } from '../../model/flow.ts'
import type { ServicePortId } from '../../model/names.ts'
import { EndMap } from './end-map.ts'
import type { NodeAddresses } from './fronts.ts'

/** What conntrack may know of a service port whose stale connections are to be reset. */
export interface PortConnections {
  readonly fronts: readonly FlowEnd[]
  readonly endpoints: readonly { readonly end: FlowEnd; readonly terminating: boolean }[]
}

interface Port {
  readonly id: ServicePortId
  readonly fronts: readonly FlowEnd[]
  /** Whether the endpoint has been seen terminating. */
  readonly present: EndMap<boolean>
  /** Since when it is gone, of endpoints that went without having been seen terminating; monotonic milliseconds. */
  readonly vanished: EndMap<number>
}

/** An endpoint that moves from one slice to another may be in none of them for a moment. */
export const vanishedAfterMs = 1_000

/**
 * Which connections (TCP) lead to an endpoint that vanished. One that was seen terminating ends its connections by
 * itself, and of what was before this process began nothing is known. See `weir.dev/reset-stale-tcp`.
 */
export class StaleConnections {
  readonly #addresses: NodeAddresses
  readonly #ports = new Map<ServicePortId, Port>()
  readonly #byFront = new EndMap<Port>()
  /** Those that an endpoint vanished from. */
  readonly #bereft = new Set<Port>()
  #before = Number.NEGATIVE_INFINITY

  constructor(addresses: NodeAddresses) {
    this.#addresses = addresses
  }

  /** undefined: it is gone, or does not ask for this any more. */
  put(id: ServicePortId, connections: PortConnections | undefined, now: number): void {
    const before = this.#ports.get(id)
    if (before !== undefined) {
      this.#bereft.delete(before)
      for (const front of before.fronts) if (this.#byFront.get(front) === before) this.#byFront.delete(front)
    }
    if (connections === undefined) {
      this.#ports.delete(id)
      return
    }
    const { fronts, endpoints } = connections
    const present = new EndMap(
      endpoints.map(({ end, terminating }) => [end, terminating || before?.present.get(end) === true]),
    )
    const vanished = new EndMap<number>()
    for (const [end, since] of before?.vanished ?? []) if (!present.has(end)) vanished.set(end, since)
    for (const [end, terminating] of before?.present ?? [])
      if (!terminating && !present.has(end)) vanished.set(end, now)
    const after = { id, fronts, present, vanished }
    this.#ports.set(id, after)
    for (const front of fronts) this.#byFront.set(front, after)
    if (!vanished.empty) this.#bereft.add(after)
  }

  /** When something will be stale; undefined: nothing that is known. */
  due(): number | undefined {
    let due: number | undefined
    for (const { vanished } of this.#bereft)
      for (const [, since] of vanished)
        if (due === undefined || since + vanishedAfterMs < due) due = since + vanishedAfterMs
    return due
  }

  isStale({ destination, target }: Flow): boolean {
    const since = this.#addresses.find(this.#byFront, destination)?.vanished.get(target)
    return since !== undefined && since <= this.#before
  }

  /** Before the table is read. Gives back what {@link end} wants. */
  begin(now: number): number {
    this.#before = now - vanishedAfterMs
    return this.#before
  }

  /** Endpoints that connections are stale for now, by service port. */
  *vanished(): Generator<readonly [ServicePortId, readonly FlowEnd[]]> {
    for (const { id, vanished } of this.#bereft) {
      const ends = [...vanished].flatMap(([end, since]) => (since <= this.#before ? [end] : []))
      if (ends.length > 0) yield [id, ends]
    }
  }

  /** Every connection has been looked at, and what was stale is deleted. */
  end(before: number): void {
    for (const port of this.#bereft) {
      for (const [end, since] of port.vanished) if (since <= before) port.vanished.delete(end)
      if (port.vanished.empty) this.#bereft.delete(port)
    }
  }
}

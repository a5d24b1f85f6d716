import { type Flow, type FlowEnd, sameEnd } from '../../model/flow.ts'
import type { ServicePortId } from '../../model/names.ts'
import { EndMap } from './end-map.ts'
import type { NodeAddresses } from './fronts.ts'

/** What conntrack may know of a service port. */
export interface PortFlows {
  readonly fronts: readonly FlowEnd[]
  /** Where flows may lead. */
  readonly targets: readonly FlowEnd[]
}

/** Targets that are none any more, with the number of passes that had begun when that came to be. */
type Gone = EndMap<number>

interface Port {
  readonly fronts: readonly FlowEnd[]
  readonly live: EndMap<true>
  readonly gone: Gone
}

/**
 * Which flows of one connectionless protocol are stale: they were sent to an address of a Service, and do not lead to an
 * endpoint of it; or an answer from such an address began them. What was an address of a Service until just now is remembered until a pass over the table has been
 * made, for the flows that lead to its former endpoints. The cost of a change follows the changed service port.
 */
export class StaleFlows {
  readonly #addresses: NodeAddresses
  readonly #ports = new Map<ServicePortId, Port>()
  readonly #byFront = new EndMap<Port>()
  /** By front that is nobody's any more, or was not when last looked. */
  readonly #former = new EndMap<Gone>()
  /** Those that lost a target since the last pass. */
  readonly #lost = new Set<Port>()
  #passes = 0

  constructor(addresses: NodeAddresses) {
    this.#addresses = addresses
  }

  /** Nothing can be stale. */
  get empty(): boolean {
    return this.#ports.size === 0 && this.#former.empty
  }

  /** undefined: it is gone. */
  put(id: ServicePortId, flows: PortFlows | undefined): void {
    const before = this.#ports.get(id)
    const after: Port | undefined = flows && {
      fronts: flows.fronts,
      live: new EndMap(flows.targets.map((end) => [end, true])),
      gone: new EndMap(),
    }
    if (before !== undefined) this.#leave(before, after)
    if (after === undefined) {
      this.#ports.delete(id)
      return
    }
    this.#ports.set(id, after)
    for (const front of after.fronts) this.#byFront.set(front, after)
    if (!after.gone.empty) this.#lost.add(after)
  }

  /** Conntrack does not tell where flows to this service port lead. */
  ignore(id: ServicePortId): void {
    const port = this.#ports.get(id)
    if (port === undefined) return
    this.#ports.delete(id)
    this.#lost.delete(port)
    for (const front of port.fronts) if (this.#byFront.get(front) === port) this.#byFront.delete(front)
  }

  isStale(flow: Flow): boolean {
    const { destination, target, zone } = flow
    const port = this.#addresses.find(this.#byFront, destination)
    if (port === undefined)
      return (
        (!this.#former.empty && this.#addresses.find(this.#former, destination)?.has(target) === true) ||
        this.#isTurnedRound(flow)
      )
    if (port.live.has(target)) return false
    // Who tracks packets in a zone of their own, as Open vSwitch does, sees those to a Service before they are translated.
    return zone === 0 || !sameEnd(target, destination)
  }

  /**
   * An answer that was on its way when its flow was deleted makes an entry of its own, from the Service's address to the
   * client. What the client sends belongs to that one as its answers, and is never translated. An endpoint that has the
   * address itself may have begun it.
   */
  #isTurnedRound({ source, destination, target, zone }: Flow): boolean {
    if (zone !== 0 || !sameEnd(target, destination)) return false
    const port = this.#addresses.find(this.#byFront, source)
    return port !== undefined && !port.live.has(source)
  }

  /** Before the table is read. Gives back what {@link end} wants. */
  begin(): number {
    return ++this.#passes
  }

  /** Every flow has been looked at, and what was stale is deleted. */
  end(pass: number): void {
    const forget = (gone: Gone): void => {
      for (const [target, since] of gone) if (since < pass) gone.delete(target)
    }
    for (const port of this.#lost) {
      forget(port.gone)
      if (port.gone.empty) this.#lost.delete(port)
    }
    for (const [front, gone] of this.#former) {
      forget(gone)
      if (gone.empty) this.#former.delete(front)
    }
  }

  #leave(before: Port, after: Port | undefined): void {
    this.#lost.delete(before)
    for (const [target, since] of before.gone) if (after?.live.has(target) !== true) after?.gone.set(target, since)
    for (const [target] of before.live) if (after?.live.has(target) !== true) after?.gone.set(target, this.#passes)
    for (const front of before.fronts) {
      if (this.#byFront.get(front) === before) this.#byFront.delete(front)
      if (after?.fronts.some((kept) => sameEnd(kept, front)) === true) continue
      const former: Gone = this.#former.get(front) ?? new EndMap()
      for (const targets of [before.gone, before.live]) for (const [target] of targets) former.set(target, this.#passes)
      if (!former.empty) this.#former.set(front, former)
    }
  }
}

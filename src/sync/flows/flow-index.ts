import type { Backend } from '../../backends/backend.ts'
import { flowTargets } from '../../desired/flow-targets.ts'
import { assertNever } from '../../model/assert-never.ts'
import type { ServiceState } from '../../model/desired.ts'
import type { EndpointSlice } from '../../model/endpoint-slice.ts'
import { type Flow, type FlowEnd, flowEnd } from '../../model/flow.ts'
import type { HostState } from '../../model/host.ts'
import type { ServiceKey, ServicePortId } from '../../model/names.ts'
import type { Protocol } from '../../model/protocol.ts'
import { frontsOf, NodeAddresses } from './fronts.ts'
import { StaleConnections } from './stale-connections.ts'
import { StaleFlows } from './stale-flows.ts'

export interface FlowIndexOptions {
  readonly backend: Pick<Backend, 'capabilities' | 'flowTargets' | 'endConnections'>
  /** The rules serve NodePorts on loopback addresses of this family. */
  readonly loopbackNodePorts: boolean
}

interface Known {
  readonly id: ServicePortId
  readonly protocol: Protocol
}

/** A pass over the entries of one protocol. */
export interface Pass {
  /** Endpoints whose connections are to end, by service port. */
  readonly vanished: Iterable<readonly [ServicePortId, readonly FlowEnd[]]>
  /** Nothing is left of what it looked for. */
  end(): void
}

/** Which entries of the connection tracking table are stale, of one family. Follows what has been written. */
export class FlowIndex {
  readonly #options: FlowIndexOptions
  readonly #addresses = new NodeAddresses()
  readonly #udp = new StaleFlows(this.#addresses)
  readonly #sctp = new StaleFlows(this.#addresses)
  readonly #tcp = new StaleConnections(this.#addresses)
  readonly #known = new Map<ServiceKey, readonly Known[]>()

  constructor(options: FlowIndexOptions) {
    this.#options = options
  }

  /** Every Service of which there is something in here. */
  keys(): IterableIterator<ServiceKey> {
    return this.#known.keys()
  }

  /** Whether it matters. */
  setHost(host: HostState): boolean {
    return this.#addresses.set(host, this.#options.loopbackNodePorts)
  }

  /**
   * Takes over what was written of a Service, and the slices that it has now: an endpoint is live while rules lead to it,
   * and as soon as it is known. Gives back the protocols whose flows this is about.
   */
  update(
    key: ServiceKey,
    states: readonly ServiceState[],
    slices: Iterable<EndpointSlice>,
    now: number,
  ): ReadonlySet<Protocol> {
    const protocols = new Set<Protocol>()
    const before = this.#known.get(key) ?? []
    const known: Known[] = []
    for (const state of states) {
      const { id, protocol } = state
      if (!this.#put(state, slices, now)) continue
      known.push({ id, protocol })
      protocols.add(protocol)
    }
    for (const { id, protocol } of before) {
      if (known.some((kept) => kept.id === id)) continue
      protocols.add(protocol)
      if (protocol === 'TCP') this.#tcp.put(id, undefined, now)
      else if (states.some((state) => state.id === id)) this.#flows(protocol).ignore(id)
      else this.#flows(protocol).put(id, undefined)
    }
    if (known.length === 0) this.#known.delete(key)
    else this.#known.set(key, known)
    return protocols
  }

  isStale(flow: Flow): boolean {
    return flow.protocol === 'TCP' ? this.#tcp.isStale(flow) : this.#flows(flow.protocol).isStale(flow)
  }

  /** Whether anything can be stale at all, now or later. */
  concerns(protocol: Protocol): boolean {
    return protocol === 'TCP' ? this.#tcp.due() !== undefined : !this.#flows(protocol).empty
  }

  /** When connections will be stale, in monotonic milliseconds; undefined: none that is known of. */
  connectionsDue(): number | undefined {
    return this.#tcp.due()
  }

  begin(protocol: Protocol, now: number): Pass {
    if (protocol === 'TCP') {
      const before = this.#tcp.begin(now)
      return { vanished: [...this.#tcp.vanished()], end: () => this.#tcp.end(before) }
    }
    const flows = this.#flows(protocol)
    const pass = flows.begin()
    return { vanished: [], end: () => flows.end(pass) }
  }

  /** False: nothing of this service port is looked for. */
  #put(state: ServiceState, slices: Iterable<EndpointSlice>, now: number): boolean {
    const { backend } = this.#options
    const { id, protocol } = state
    const others = backend.flowTargets?.(state)
    if (protocol === 'TCP') {
      if (!state.connections.resetStaleTcp) return false
      if (others !== undefined && (others.kind !== 'unknown' || backend.endConnections === undefined)) return false
      const endpoints = [...flowTargets(state, slices)].map(({ ip, port, terminating }) => ({
        end: flowEnd(ip, port),
        terminating,
      }))
      this.#tcp.put(id, { fronts: frontsOf(state), endpoints }, now)
      return true
    }
    if (others?.kind === 'unknown' || (protocol === 'SCTP' && !backend.capabilities.sctp)) return false
    const targets: FlowEnd[] = (others?.sockets ?? []).map(({ address, port }) => flowEnd(address, port))
    for (const { ip, port, live } of flowTargets(state, slices)) if (live) targets.push(flowEnd(ip, port))
    for (const { ip, port } of [...state.cluster, ...state.local]) targets.push(flowEnd(ip, port))
    this.#flows(protocol).put(id, { fronts: frontsOf(state), targets })
    return true
  }

  #flows(protocol: 'UDP' | 'SCTP'): StaleFlows {
    switch (protocol) {
      case 'UDP':
        return this.#udp
      case 'SCTP':
        return this.#sctp
      default:
        return assertNever(protocol, 'protocol')
    }
  }
}

/** What a table of packet flows is made of. A table is data: it knows nothing of backends, kernels or sockets. */
import type { Capabilities } from '../../src/backends/backend.ts'
import type { HostSettings } from '../../src/desired/host-state.ts'
import type { Protocol } from '../../src/model/protocol.ts'
import type { ObjectOptions } from '../../src/source/objects/read-objects.ts'
import type { Net, Place, Server } from './net.ts'
import type { Front, Manifest } from './objects.ts'

/** A rule of docs/service-semantics.md. */
export type Rule = `S${number}.${number}`

/** What becomes of a packet. The first three are told apart by the kernel alone, never by a server that is missing. */
export type Expectation =
  /** Translated. Each of `by` answers at least once and nobody else does; the endpoint sees `sees` as its client. */
  | { readonly kind: 'answered'; readonly by: readonly Server[]; readonly sees: 'client' | 'node' }
  /** ICMP port unreachable (TCP reset): the client knows at once. */
  | { readonly kind: 'refused' }
  /** Nothing comes back. */
  | { readonly kind: 'dropped' }
  /** Goes where it would without us: to `by`, which has a server there. */
  | { readonly kind: 'untouched'; readonly by: 'node' | 'elsewhere' }

export interface Packet {
  readonly from: Place
  /** Source address, where it is not the place's own. */
  readonly source?: string
  readonly to: string
  readonly port: number
  readonly expect: Expectation
}

/** What a backend does where docs/service-semantics.md leaves it to the backend. */
export interface Traits extends Capabilities {
  /** S10.1 */
  readonly unusedPorts: 'refused' | 'routed'
  /** S10.2 */
  readonly unusedClusterIPs: 'dropped' | 'routed'
  /** S10.3 */
  readonly pings: 'refused' | 'routed'
  /** S6.5: what the node itself sends to an external IP or load balancer IP elsewhere that has no endpoints. */
  readonly externalFromNode: 'refused' | 'routed'
  /** S10.1: ports of external addresses that no Service has. */
  readonly unusedExternalPorts: 'refused' | 'routed'
  /** S11.2: what the node itself sends to a cluster IP, from an address of its own choice, without a detector. */
  readonly fromNodeUndetected: 'direct' | 'masqueraded'
  /** S8.2: a scheduler to ask for that is not to be had. */
  readonly lackedScheduler: 'lc' | 'twos'
  /** S7.4 */
  readonly rangesWithoutEndpoints: boolean
  /** S8.5: UDP flows whose endpoint is gone. */
  readonly staleFlows: 'moved' | 'kept'
  /** S8.5: UDP flows that are older than the Service. */
  readonly olderFlows: 'moved' | 'kept'
  /** S8.2: the place that an endpoint which comes back gets in the list that schedulers go by. */
  readonly endpointOrder: 'sorted' | 'asAdded'
  /** S8.1: what a client is remembered for. */
  readonly affinityOf: 'servicePort' | 'address'
  /** S8.1: when it is forgotten: in time, or not before the kernel has forgotten the last of its connections. */
  readonly affinityEnds: 'inTime' | 'withConnections'
  /** Established connections of a Service that is deleted. */
  readonly serviceGone: 'kept' | 'cut'
  /** Without it every endpoint sees the node as its client. */
  readonly keepsSource: boolean
  /** Who forwards what is established and remembers clients: a process takes both with it when it ends. */
  readonly flowsIn: 'kernel' | 'process'
}

/** Configuration, as far as rules depend on it. */
export interface Settings extends HostSettings, ObjectOptions {}

export interface FlowCase {
  readonly name: string
  readonly rules: readonly Rule[]
  readonly settings?: Partial<Settings>
  /** Everything in the cluster. Our Node is added unless it is here. */
  readonly objects: readonly Manifest[]
  readonly packets: readonly Packet[]
}

/** Cases of one subject, in one family and protocol, as a backend with these traits has to pass them. */
export type FlowTable = (net: Net, protocol: Protocol, traits: Traits) => readonly FlowCase[]

export const refused: Expectation = { kind: 'refused' }
export const dropped: Expectation = { kind: 'dropped' }
export const toElsewhere: Expectation = { kind: 'untouched', by: 'elsewhere' }
export const toNodeItself: Expectation = { kind: 'untouched', by: 'node' }
/** The endpoint sees the client's own address. */
export const direct = (...by: readonly Server[]): Expectation => ({ kind: 'answered', by, sees: 'client' })
/** The endpoint sees the node's address. */
export const masqueraded = (...by: readonly Server[]): Expectation => ({ kind: 'answered', by, sees: 'node' })

/** One packet to the address and port of `front`. */
export const to = (front: Front, from: Place, expect: Expectation): Packet => ({
  from,
  to: front.ip,
  port: front.port,
  expect,
})

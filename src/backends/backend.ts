import type { ServiceState } from '../model/desired.ts'
import type { FlowEnd } from '../model/flow.ts'
import type { HostState } from '../model/host.ts'
import type { Family, IP } from '../model/ip.ts'
import type { ServicePortId } from '../model/names.ts'
import type { Scheduler } from '../model/scheduling.ts'

export type BackendName = 'nftables' | 'iptables' | 'ipvs' | 'userspace'

/** What a backend can express. What it cannot is replaced by the default, and reported. */
export interface Capabilities {
  readonly schedulers: ReadonlySet<Scheduler>
  readonly affinity: boolean
  readonly sourceRanges: boolean
  readonly sctp: boolean
  readonly localhostNodePorts: boolean
  /** Handles each connection itself: limits their number, tells endpoints who the client is. */
  readonly connectionOptions?: true
  /** Sends packets to endpoints in other ways than by translating their addresses. */
  readonly forwarding?: true
}

/** A probe has three answers; only the first two may be remembered. */
export type Support =
  | { readonly kind: 'supported' }
  | { readonly kind: 'unsupported'; readonly why: string }
  | { readonly kind: 'unknown'; readonly cause: unknown }

/** One virtual server before and after. Both undefined never occurs. */
export interface ServiceChange {
  readonly before: ServiceState | undefined
  readonly after: ServiceState | undefined
}

/** What the kernel should go to, from what was last applied (`delta`) or from whatever is there (`full`). */
export type Change =
  | {
      readonly kind: 'full'
      readonly host: HostState
      readonly services: Iterable<ServiceState>
      /** Fixed rules are written even where they look right: nobody watched, or somebody else was seen writing. */
      readonly rewrite: boolean
    }
  | { readonly kind: 'delta'; readonly host: HostState; readonly services: ReadonlyMap<ServicePortId, ServiceChange> }

/** What a plan amounts to, for logs, metrics and tests. */
export interface PlanSummary {
  /** Nothing to write: the kernel already is as it should be. */
  readonly empty: boolean
  readonly added: number
  readonly removed: number
  /** Fixed chains, sets or rules are written too, not only elements. */
  readonly structure: boolean
  /** Rules written, by table; undefined where rules are not what follows the cluster. */
  readonly rulesWritten?: ReadonlyMap<string, number>
}

/** What was found in the kernel. Opaque to everyone but the backend that made it. */
export interface Observed {
  /** Elements, rules or virtual servers that are ours, by table or set name. */
  readonly counts: ReadonlyMap<string, number>
}

/** Where packets to a service port go, as conntrack sees it, if not to its endpoints. */
export type FlowTargets =
  /** Also to these. */
  | { readonly kind: 'sockets'; readonly sockets: readonly { readonly address: IP; readonly port: number }[] }
  /** Conntrack does not see it. */
  | { readonly kind: 'unknown'; readonly sockets?: never }

/**
 * One way of making a family's Services real on a node. `plan` is pure and stable: the same input gives the same
 * bytes. `apply` is the only writer; atomic where the kernel allows it, idempotent, and it remembers what it wrote, so
 * that the next `delta` starts from there. A failed `apply` leaves that memory untouched.
 */
export interface Backend<P extends { readonly summary: PlanSummary } = { readonly summary: PlanSummary }> {
  readonly name: BackendName
  readonly family: Family
  readonly capabilities: Capabilities
  probe(signal: AbortSignal): Promise<Support>
  observe(signal: AbortSignal): Promise<Observed>
  /** `observed` is needed for a full change, and ignored for a delta. */
  plan(change: Change, observed?: Observed): P
  apply(plan: P, signal: AbortSignal): Promise<void>
  /** Asked about each UDP, SCTP and TCP service port after it was applied; undefined: its endpoints and nothing else. */
  flowTargets?(state: ServiceState): FlowTargets | undefined
  /**
   * Endpoints of a service port that vanished, and whose connections are to end: what the backend itself keeps of these goes, in
   * its own time. Conntrack's part is done elsewhere.
   */
  endConnections?(id: ServicePortId, ends: readonly FlowEnd[]): void
  /** Elements, rules or virtual servers as last applied, by table, set or map name. */
  counts(): ReadonlyMap<string, number>
  /** Removes what nothing of ours uses any more; the number of objects. Called a while after an apply, never during one. */
  tidy(signal: AbortSignal): Promise<number>
  /** True only when nobody else can have written to what is ours since the last apply. Asked every sync period. */
  untouched(signal: AbortSignal): Promise<boolean>
  /** What would be programmed on a clean node, as text that the kernel's own tool loads. */
  render(host: HostState, services: Iterable<ServiceState>): string
  /** Removes what is ours and nothing else; safe on a clean node. */
  cleanup(signal: AbortSignal): Promise<void>
}

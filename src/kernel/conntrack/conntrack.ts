import type { Family, IP } from '../../model/ip.ts'
import type { Protocol } from '../../model/protocol.ts'

/** Addresses and ports of one direction. Ports are 0 to 65535. */
export interface Tuple {
  readonly source: IP
  readonly sourcePort: number
  readonly destination: IP
  readonly destinationPort: number
}

/** An entry of the connection tracking table. */
export interface Flow {
  readonly family: Family
  readonly protocol: Protocol
  /** As the first packet had them when it came. */
  readonly original: Tuple
  /** What an answer has when it comes: its source is where the flow was translated to. */
  readonly reply: Tuple
  /** Of the original direction; 0 unless rules say otherwise. */
  readonly zone: number
  /** The kernel's number for it: another entry of the same tuple has another one, but for a chance. 32 bits. */
  readonly id: number
}

/** Which entries are meant. */
export interface FlowFilter {
  readonly family: Family
  readonly protocol: Protocol
}

/**
 * The kernel's connection tracking table, that of one network namespace. Rejections are KernelError, or the signal's
 * reason: `permission` without CAP_NET_ADMIN; `invalid` where the kernel has no ctnetlink.
 */
export interface Conntrack {
  /**
   * Calls `onFlow` for each entry, and keeps none of them. What changes meanwhile may be left out, or come twice.
   * What `onFlow` throws ends it.
   */
  flows(filter: FlowFilter, onFlow: (flow: Flow) => void, signal: AbortSignal): Promise<void>
  /** Whether it was there. One that has taken its place stays. */
  delete(flow: Flow, signal: AbortSignal): Promise<boolean>
}

import type { Flow, PassingFlow } from '../../model/flow.ts'
import type { Family } from '../../model/ip.ts'
import type { Protocol } from '../../model/protocol.ts'

/** Which entries are meant. */
export interface FlowFilter {
  readonly family: Family
  readonly protocol: Protocol
}

/** What became of a list of entries that were to be deleted. Those that were gone already are neither. */
export interface Deletion {
  readonly deleted: number
  /** Why some were not, each for itself: KernelError. */
  readonly refusals: readonly Error[]
}

/** What the kernel counts, summed over its processors: the words of conntrack(8) -S. 32 bits each, then from 0 again. */
export const conntrackCounters = [
  'found',
  'invalid',
  'insert',
  'insert_failed',
  'drop',
  'early_drop',
  'error',
  'search_restart',
  'clash_resolve',
  'chain_toolong',
] as const
export type ConntrackCounter = (typeof conntrackCounters)[number]

export interface ConntrackStats {
  readonly entries: number
  /** How many there may be; undefined where the kernel does not say (before 4.18). */
  readonly limit: number | undefined
  /** Those that this kernel has. */
  readonly counters: ReadonlyMap<ConntrackCounter, number>
}

/**
 * The kernel's connection tracking table, that of one network namespace. Rejections are KernelError, or the signal's
 * reason: `permission` without CAP_NET_ADMIN; `invalid` where the kernel has no ctnetlink.
 */
export interface Conntrack {
  /**
   * Calls `onFlow` for each entry with one object that is always the same: nothing is made for an entry. What changes
   * meanwhile may be left out, or come twice. What `onFlow` throws ends it.
   */
  flows(filter: FlowFilter, onFlow: (flow: PassingFlow) => void, signal: AbortSignal): Promise<void>
  /**
   * Deletes entries; one that has taken the place of another stays. Up to a hundred are gone, or were refused, when the
   * call returns, and the promise only says so.
   */
  delete(flows: readonly Flow[], signal: AbortSignal): Promise<Deletion>
  stats(signal: AbortSignal): Promise<ConntrackStats>
}

import type { Flow, PassingFlow } from '../../model/flow.ts'
import type { Family } from '../../model/ip.ts'
import type { Protocol } from '../../model/protocol.ts'

/** The kernel's connection tracking table, as far as stale flows are looked for in it. */
export interface FlowTable {
  /** Calls `onFlow` for each entry, with an object that is overwritten afterwards. An entry may come twice. */
  flows(
    filter: { readonly family: Family; readonly protocol: Protocol },
    onFlow: (flow: PassingFlow) => void,
    signal: AbortSignal,
  ): Promise<void>
  /**
   * Deletes these entries, and none that has taken the place of one. Up to {@link deletedAtOnce} are gone when the call
   * returns; the promise says how many, and why others were not.
   */
  delete(
    flows: readonly Flow[],
    signal: AbortSignal,
  ): Promise<{ readonly deleted: number; readonly refusals: readonly Error[] }>
}

export const deletedAtOnce = 100

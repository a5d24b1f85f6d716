import type { ChangeKind } from '../cluster/changes.ts'
import type { ClusterSpec } from '../cluster/cluster.ts'

/** A first sync. Milliseconds; the stages add up to a little less than the total. */
export interface ColdStart {
  readonly totalMs: number
  readonly trackMs: number
  readonly desiredMs: number
  readonly planMs: number
  readonly scriptMs: number
  readonly commitMs: number
  readonly elements: { readonly added: number; readonly removed: number }
  /** What the kernel's own memory grew by. */
  readonly kernelMiB: number
  /** Of this process, so far. */
  readonly peakMiB: number
}

/** One change of one endpoint. `from`: whether it was handed in parsed, or as the JSON text of its EndpointSlice. */
export interface Sample {
  readonly kind: ChangeKind
  readonly from: 'model' | 'json'
  readonly ms: number
}

/** What can be asked of worker.ts. `start` comes first, once. */
export type ProxyOperations = {
  readonly start: {
    readonly request: { readonly spec: ClusterSpec; readonly keepBatches: boolean }
    readonly reply: ColdStart
  }
  /** Needs `keepBatches`. Milliseconds of each repetition. Afterwards the proxy's own picture of the kernel is void. */
  readonly recommit: { readonly request: { readonly times: number }; readonly reply: readonly number[] }
  readonly change: { readonly request: { readonly count: number }; readonly reply: readonly Sample[] }
  readonly burst: {
    readonly request: { readonly count: number; readonly turns: 'one' | 'each' }
    readonly reply: number
  }
  readonly toggle: {
    readonly request: { readonly count: number }
    readonly reply: { readonly lastGone: readonly number[]; readonly firstBack: readonly number[] }
  }
  readonly peak: { readonly request: undefined; readonly reply: number }
}

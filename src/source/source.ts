import type { ChangeSink } from '../model/change.ts'

/** Where Services, EndpointSlices and the node come from: a live cluster, or a folder of manifests. */
export interface Source {
  /**
   * Hands everything it learns to `sink` until `signal` is aborted; then it resolves. Rejects only if it can never
   * work as configured; trouble that may pass is reported and retried, and meanwhile nothing is taken back.
   */
  run(sink: ChangeSink, signal: AbortSignal): Promise<void>
}

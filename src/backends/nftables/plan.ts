import type { Batch } from '../../kernel/nft/batch.ts'
import type { HostState } from '../../model/host.ts'
import type { PlanSummary } from '../backend.ts'
import type { AffinitySweep } from './affinity.ts'
import type { Ledger, LedgerDelta } from './ledger.ts'
import type { SetName } from './schema.ts'

/** What one apply writes: the structure as text if it has to change, then one atomic batch. */
export interface NftPlan {
  readonly summary: PlanSummary
  readonly script: string | undefined
  readonly batch: Batch
  readonly host: HostState
  /** Elements by set: all of them after a full plan, the difference otherwise. */
  readonly counts: ReadonlyMap<SetName, number>
  /** Remembered clients to forget once the batch is in. */
  readonly sweep: AffinitySweep | undefined
  /** By frontend, of the services that this plan changes: with whom clients may be remembered from now on. */
  readonly allowed: ReadonlyMap<string, ReadonlySet<string>>
  /** How the ledger follows when the batch is in: a fresh one after a full plan, a change of it otherwise. */
  readonly outcome:
    | { readonly kind: 'replace'; readonly ledger: Ledger }
    | { readonly kind: 'absorb'; readonly delta: LedgerDelta }
}

/** What the planner knows of the kernel: the outcome of all earlier applies. */
export interface Belief {
  readonly host: HostState
  readonly ledger: Ledger
}

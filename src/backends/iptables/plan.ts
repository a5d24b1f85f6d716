import type { TableChange } from '../../kernel/iptables/restore-builder.ts'
import type { ServiceState } from '../../model/desired.ts'
import type { HostState } from '../../model/host.ts'
import type { ServicePortId } from '../../model/names.ts'
import type { PlanSummary } from '../backend.ts'
import type { FixedLayout } from '../rules/fixed-layout.ts'
import type { RuleCounts } from '../rules/rule-table.ts'
import type * as rules from '../rules/set-schema.ts'
import type { Dispatch } from './dispatch.ts'
import type { SetRole } from './sets.ts'

/** What the planner knows of the kernel: the outcome of all earlier applies. */
export interface Belief {
  readonly host: HostState
  /** What follows from the host alone. */
  readonly fixed: FixedLayout
  readonly states: Map<ServicePortId, ServiceState>
  /** Endpoints of all service ports: beyond a number of them comments are left out. */
  readonly endpoints: number
  readonly dispatch: Dispatch
  /** How many service ports ask for each member of a set. */
  readonly elements: Map<string, ElementUse>
  /** Rules of ours, by table. */
  readonly rules: RuleCounts
}

export type ElementUse = rules.ElementUse<SetRole>

export type SetChanges = rules.SetChanges<SetRole>

/** What one apply writes: members of sets that rules will need, one restore, members that no rule needs any more. */
export interface IptablesPlan {
  readonly summary: PlanSummary
  readonly tables: readonly TableChange[]
  readonly sets: SetChanges
  /** What is true once it is written. */
  readonly outcome:
    | { readonly kind: 'replace'; readonly belief: Belief }
    | { readonly kind: 'absorb'; readonly delta: BeliefDelta }
}

export interface BeliefDelta {
  readonly host: HostState
  readonly fixed: FixedLayout
  readonly states: ReadonlyMap<ServicePortId, ServiceState | undefined>
  readonly endpoints: number
  readonly dispatch: Dispatch
  readonly elements: ReadonlyMap<string, ElementUse>
  readonly rules: RuleCounts
}

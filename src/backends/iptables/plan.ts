import type { Member } from '../../kernel/ipset/member.ts'
import type { TableChange } from '../../kernel/iptables/restore-builder.ts'
import type { ServiceState } from '../../model/desired.ts'
import type { HostState } from '../../model/host.ts'
import type { ServicePortId } from '../../model/names.ts'
import type { PlanSummary } from '../backend.ts'
import type { Dispatch } from './dispatch.ts'
import type { FixedLayout, SetElement } from './layout-types.ts'
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

export interface ElementUse {
  readonly element: SetElement
  readonly uses: number
}

export const ruleTables = ['mangle', 'filter', 'nat'] as const
export type RuleTable = (typeof ruleTables)[number]
export type RuleCounts = Readonly<Record<RuleTable, number>>

/** What becomes of the sets; `create` and `add` before the rules, `remove` and `destroy` after them. */
export interface SetChanges {
  readonly create: readonly SetRole[]
  readonly add: ReadonlyMap<SetRole, readonly Member[]>
  readonly remove: ReadonlyMap<SetRole, readonly Member[]>
  /** By name: these may be nobody's role any more. */
  readonly destroy: readonly string[]
}

export const noSetChanges: SetChanges = { create: [], add: new Map(), remove: new Map(), destroy: [] }

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

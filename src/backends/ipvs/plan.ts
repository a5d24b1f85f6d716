import type { TableChange } from '../../kernel/iptables/restore-builder.ts'
import type { ServiceState } from '../../model/desired.ts'
import type { HostState } from '../../model/host.ts'
import type { IP } from '../../model/ip.ts'
import type { ServiceKey, ServicePortId } from '../../model/names.ts'
import type { PlanSummary } from '../backend.ts'
import type { FixedLayout } from '../rules/fixed-layout.ts'
import type { RuleCounts } from '../rules/rule-table.ts'
import type { ElementUse, SetChanges } from '../rules/set-schema.ts'
import type { ServiceLayout } from './layout-types.ts'
import type { DrainingServers, TaggedChange, WantedServer } from './server-diff.ts'
import type { SetRole } from './sets.ts'

/** One service port and what it needs. */
export interface Laid {
  readonly state: ServiceState
  readonly layout: ServiceLayout
  /** Of the packets that its inside server is for. */
  readonly mark: number | undefined
}

/** A service port that wants a virtual server. */
export interface Claim {
  readonly id: ServicePortId
  /** By an address of the Service, rather than by a NodePort: then it comes before those. */
  readonly byAddress: boolean
  readonly wanted: WantedServer
}

/** What the planner knows of the kernel: the outcome of all earlier applies. */
export interface Belief {
  readonly host: HostState
  /** What follows from the host alone. */
  readonly fixed: FixedLayout
  readonly services: Map<ServicePortId, Laid>
  /** By name of the virtual server; hardly ever more than one. */
  readonly claims: Map<string, readonly Claim[]>
  /** How many service ports ask for each address of kube-ipvs0. */
  readonly addresses: Map<IP, number>
  /** How many service ports ask for each member of a set. */
  readonly elements: Map<string, ElementUse<SetRole>>
  /** Marks in use: ours, and those of foreign virtual servers. */
  readonly marks: Set<number>
  readonly rules: RuleCounts
}

/** The same maps, with what changed only. */
export interface BeliefDelta {
  readonly host: HostState
  readonly fixed: FixedLayout
  readonly services: ReadonlyMap<ServicePortId, Laid | undefined>
  readonly claims: ReadonlyMap<string, readonly Claim[]>
  readonly addresses: ReadonlyMap<IP, number>
  readonly elements: ReadonlyMap<string, ElementUse<SetRole>>
  readonly marks: { readonly taken: readonly number[]; readonly freed: readonly number[] }
  readonly rules: RuleCounts
}

/** What one apply writes, in this order but for what of the sets comes last. */
export interface IpvsPlan {
  readonly summary: PlanSummary
  /** Takes rules of ours out that hold a set which is to be made anew. */
  readonly detach: readonly TableChange[]
  readonly sets: SetChanges<SetRole>
  readonly tables: readonly TableChange[]
  /** kube-ipvs0 is not there, or is down. */
  readonly device: boolean
  readonly addresses: { readonly add: ReadonlyMap<IP, ServiceKey>; readonly remove: readonly IP[] }
  readonly servers: readonly TaggedChange[]
  /** What drains afterwards. */
  readonly draining: ReadonlyMap<string, DrainingServers>
  /** What is true once it is written. */
  readonly outcome:
    | { readonly kind: 'replace'; readonly belief: Belief }
    | { readonly kind: 'absorb'; readonly delta: BeliefDelta }
}

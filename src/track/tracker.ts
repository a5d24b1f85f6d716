import { assertNever } from '../model/assert-never.ts'
import type { ModelChange } from '../model/change.ts'
import { type Cidr, mergeCidrs } from '../model/cidr.ts'
import type { Claim } from '../model/claim.ts'
import type { EndpointSlice } from '../model/endpoint-slice.ts'
import type { ServiceKey, SliceKey } from '../model/names.ts'
import type { Node, ServiceCidr } from '../model/node.ts'
import type { Problem } from '../model/problem.ts'
import type { Service } from '../model/service.ts'
import { ClaimTable } from './claim-table.ts'
import { sameNodeForRules, sameNodeForServices, sameService, sameServiceCidr } from './equal.ts'
import { type Dirty, Pending } from './pending.ts'
import { SliceIndex } from './slices.ts'

export interface TrackerOptions {
  /** When this process started, milliseconds since the epoch: endpoint changes from before are not ours to time. */
  readonly startedAt: number
}

/**
 * The latest state of everything watched, and which Services it has moved since the last committed write. Holds the
 * objects it is given and copies nothing of them. The cost of a change follows the changed object, not the cluster.
 */
export class Tracker {
  readonly #startedAt: number
  readonly #services = new Map<ServiceKey, Service>()
  readonly #slices = new SliceIndex()
  readonly #claims = new ClaimTable()
  readonly #pending = new Pending()
  readonly #cidrObjects = new Map<string, ServiceCidr>()
  #cidrs: readonly Cidr[] | undefined
  #node: Node | undefined
  #lastNode: Node | undefined
  #serviceChangesTotal = 0
  #endpointChangesTotal = 0

  constructor({ startedAt }: TrackerOptions) {
    this.#startedAt = startedAt
  }

  /** Takes over a batch in order. Returns the conflicts it opened, each once for as long as it lasts. */
  apply(batch: readonly ModelChange[]): readonly Problem[] {
    for (const change of batch) this.#applyOne(change)
    const { affected, problems } = this.#claims.settle()
    for (const key of affected) this.#pending.ownership(key)
    return problems
  }

  /** Hands out what changed since the last `take`; undefined = nothing. Ends with `commit` or `rollback`. */
  take(): Dirty | undefined {
    return this.#pending.take()
  }

  commit(): void {
    this.#pending.commit()
  }

  rollback(): void {
    this.#pending.rollback()
  }

  service(key: ServiceKey): Service | undefined {
    return this.#services.get(key)
  }

  services(): IterableIterator<Service> {
    return this.#services.values()
  }

  get serviceCount(): number {
    return this.#services.size
  }

  /** Both families, ordered by key. Valid until the next `apply`. */
  slicesOf(key: ServiceKey): readonly EndpointSlice[] {
    return this.#slices.of(key)
  }

  /** Whether the claimant is the one Service port that has what it claims. */
  owns(claim: Claim): boolean {
    return this.#claims.owns(claim)
  }

  /** Our Node as it is now; undefined = not seen yet, or deleted: not eligible for traffic. */
  node(): Node | undefined {
    return this.#node
  }

  /** Our Node as last seen. Rules go by this one: a Node that is deleted while its pods run must not lose its rules. */
  lastNode(): Node | undefined {
    return this.#lastNode
  }

  /** What the ServiceCIDR objects that exist now cover together; both families, nested networks dropped, sorted. */
  serviceCidrs(): readonly Cidr[] {
    this.#cidrs ??= mergeCidrs([...this.#cidrObjects.values()].flatMap(({ cidrs }) => cidrs))
    return this.#cidrs
  }

  /** Services with a change that was not handed out yet. */
  get serviceChangesPending(): number {
    return this.#pending.serviceChanges
  }

  /** Notifications about Services so far, whether they changed anything or not. */
  get serviceChangesTotal(): number {
    return this.#serviceChangesTotal
  }

  /** Changes of slices of known Services that were not handed out yet. */
  get endpointChangesPending(): number {
    return this.#pending.endpointChanges
  }

  /** Notifications about slices so far, whether they changed anything or not. */
  get endpointChangesTotal(): number {
    return this.#endpointChangesTotal
  }

  #applyOne(change: ModelChange): void {
    switch (change.kind) {
      case 'service':
        this.#putService(change.key, change.value)
        break
      case 'slice':
        this.#putSlice(change.key, change.value)
        break
      case 'node':
        this.#putNode(change.value)
        break
      case 'serviceCidr':
        this.#putServiceCidr(change.name, change.value)
        break
      default:
        assertNever(change, 'change')
    }
  }

  #putService(key: ServiceKey, after: Service | undefined): void {
    this.#serviceChangesTotal++
    const before = this.#services.get(key)
    if (before === after) return
    if (after === undefined) this.#services.delete(key)
    else this.#services.set(key, after)
    this.#claims.replace(before, after)
    if (before === undefined || after === undefined || !sameService(before, after)) this.#pending.service(key)
  }

  #putSlice(key: SliceKey, value: EndpointSlice | undefined): void {
    this.#endpointChangesTotal++
    const outcome = this.#slices.put(key, value)
    if (outcome.kind === 'unchanged') return
    const { before, after } = outcome
    let known = false
    if (before !== undefined && before.service !== after?.service && this.#services.has(before.service)) {
      known = true
      this.#pending.endpoints(before.service)
      this.#pending.dropTriggers(before.service)
    }
    if (after !== undefined && this.#services.has(after.service)) {
      known = true
      this.#pending.endpoints(after.service)
      if (after.triggeredAt !== undefined && after.triggeredAt > this.#startedAt)
        this.#pending.trigger(after.service, after.triggeredAt)
    }
    // Slices of Services that are not ours to proxy (headless, another proxy's) arrive too: nothing will ever take them.
    if (known) this.#pending.endpointChange()
  }

  #putNode(after: Node | undefined): void {
    this.#node = after
    if (after === undefined) return
    const before = this.#lastNode
    this.#lastNode = after
    if (!sameNodeForRules(before, after)) this.#pending.host(!sameNodeForServices(before, after))
  }

  #putServiceCidr(name: string, after: ServiceCidr | undefined): void {
    const before = this.#cidrObjects.get(name)
    if (after === undefined) this.#cidrObjects.delete(name)
    else this.#cidrObjects.set(name, after)
    if (sameServiceCidr(before, after)) return
    this.#cidrs = undefined
    this.#pending.host(false)
  }
}

import type { Claim } from '../model/claim.ts'
import type { ServiceKey } from '../model/names.ts'
import type { Problem } from '../model/problem.ts'
import type { Service } from '../model/service.ts'
import { type Claimant, type ClaimKey, claimField, claimKey, forEachClaim, sameClaimant } from './claims.ts'
import { Contest, claimantId } from './contest.ts'

/** What `settle` found: whose desired state changed, and who newly goes without. */
export interface Settlement {
  readonly affected: ReadonlySet<ServiceKey>
  readonly problems: readonly Problem[]
}

const nothing: Settlement = { affected: new Set(), problems: [] }

/** A thing touched since the last `settle`: its owner of then, and who came or went. */
interface Touched {
  readonly owner: Claimant | undefined
  readonly moved: Claimant[]
}

/**
 * Who owns which address, port and NodePort. Changes are collected with `replace` and judged together by `settle`, so
 * that a conflict which exists only half-way through a batch is never reported. Both cost what the changed Services
 * claim, not what the cluster holds.
 */
export class ClaimTable {
  /** Things that one claimant asks for: nearly all. */
  readonly #single = new Map<ClaimKey, Claimant>()
  /** Things that several ask for. A key is in one of the two maps only. */
  readonly #contests = new Map<ClaimKey, Contest>()
  /** What each Service asks for in vain, and was told so; absent = nothing. */
  readonly #losses = new Map<ServiceKey, Set<string>>()
  readonly #touched = new Map<ClaimKey, Touched>()

  /** True unless another service port is the owner of what is claimed. */
  owns(claim: Claim): boolean {
    const losses = this.#losses.get(claim.service)
    if (losses === undefined) return true
    const key = claimKey(claim)
    const port = claim.kind === 'healthCheckNodePort' ? undefined : claim.port.name
    return key === undefined || !losses.has(lossId(key, port))
  }

  replace(before: Service | undefined, after: Service | undefined): void {
    if (before !== undefined) forEachClaim(before, (key, claimant) => this.#remove(key, claimant))
    if (after !== undefined) forEachClaim(after, (key, claimant) => this.#add(key, claimant))
  }

  settle(): Settlement {
    if (this.#touched.size === 0) return nothing
    const affected = new Set<ServiceKey>()
    const problems: Problem[] = []
    for (const [key, then] of this.#touched) {
      const owner = this.#owner(key)
      if (!sameOwner(then.owner, owner)) {
        if (then.owner !== undefined) affected.add(then.owner.service.key)
        if (owner !== undefined) affected.add(owner.service.key)
      }
      // Nobody else's situation can have changed: not to look further keeps a crowded contest cheap.
      for (const claimant of then.moved) this.#judge(key, claimant, owner, problems)
      if (then.owner !== undefined) this.#judge(key, then.owner, owner, problems)
      if (owner !== undefined) this.#judge(key, owner, owner, problems)
    }
    this.#touched.clear()
    return { affected, problems }
  }

  #owner(key: ClaimKey): Claimant | undefined {
    return this.#single.get(key) ?? this.#contests.get(key)?.owner
  }

  /** Brings the losses of one claimant up to date. */
  #judge(key: ClaimKey, claimant: Claimant, owner: Claimant | undefined, problems: Problem[]): void {
    const service = claimant.service.key
    const id = lossId(key, claimant.port?.name)
    const losses = this.#losses.get(service)
    const contest = this.#contests.get(key)
    const loses = owner !== undefined && !sameClaimant(owner, claimant) && contest?.has(claimantId(claimant)) === true
    if (!loses) {
      losses?.delete(id)
      if (losses?.size === 0) this.#losses.delete(service)
      return
    }
    if (losses?.has(id) === true) return
    if (losses === undefined) this.#losses.set(service, new Set([id]))
    else losses.add(id)
    problems.push(conflict(key, claimant, owner))
  }

  #touch(key: ClaimKey, claimant: Claimant): void {
    const touched = this.#touched.get(key)
    if (touched === undefined) this.#touched.set(key, { owner: this.#owner(key), moved: [claimant] })
    else touched.moved.push(claimant)
  }

  #add(key: ClaimKey, claimant: Claimant): void {
    this.#touch(key, claimant)
    const contest = this.#contests.get(key)
    if (contest !== undefined) {
      contest.add(claimant)
      return
    }
    const only = this.#single.get(key)
    if (only === undefined) {
      this.#single.set(key, claimant)
      return
    }
    const opened = new Contest()
    opened.add(only)
    opened.add(claimant)
    this.#single.delete(key)
    this.#contests.set(key, opened)
  }

  #remove(key: ClaimKey, claimant: Claimant): void {
    this.#touch(key, claimant)
    const contest = this.#contests.get(key)
    if (contest === undefined) {
      this.#single.delete(key)
      return
    }
    contest.remove(claimant)
    if (contest.size > 1) return
    this.#contests.delete(key)
    if (contest.owner !== undefined) this.#single.set(key, contest.owner)
  }
}

const lossId = (key: ClaimKey, port: string | undefined): string => (port === undefined ? key : `${key} ${port}`)

const sameOwner = (a: Claimant | undefined, b: Claimant | undefined): boolean =>
  a === b || (a !== undefined && b !== undefined && sameClaimant(a, b))

const conflict = (key: ClaimKey, loser: Claimant, owner: Claimant): Problem => ({
  object: { kind: 'Service', namespace: loser.service.namespace, name: loser.service.name },
  field: claimField(loser),
  reason: `${key}${portOf(loser)} belongs to Service ${owner.service.key}${portOf(owner)} (${claimField(owner)}) and is not served for this Service`,
})

const portOf = ({ port }: Claimant): string => (port === undefined || port.name === '' ? '' : ` of port ${port.name}`)

import { type Claimant, compareClaimants } from './claims.ts'

/** `port` of `service`: who a claimant is, whatever the kind of its claim. */
export type ClaimantId = string
export const claimantId = ({ service, port }: Claimant): ClaimantId =>
  port === undefined ? service.key : `${service.key} ${port.name}`

/** Several claimants of one thing, best first. Joining and leaving cost the logarithm of their number. */
export class Contest {
  readonly #claimants: Claimant[] = []
  /** How often each claimant is in the list: a service port may ask under two kinds. */
  readonly #present = new Map<ClaimantId, number>()

  get owner(): Claimant | undefined {
    return this.#claimants[0]
  }

  get size(): number {
    return this.#claimants.length
  }

  has(id: ClaimantId): boolean {
    return this.#present.has(id)
  }

  add(claimant: Claimant): void {
    this.#claimants.splice(this.#position(claimant), 0, claimant)
    const id = claimantId(claimant)
    this.#present.set(id, (this.#present.get(id) ?? 0) + 1)
  }

  remove(claimant: Claimant): void {
    const at = this.#position(claimant)
    const found = this.#claimants[at]
    if (found === undefined || compareClaimants(found, claimant) !== 0) return
    this.#claimants.splice(at, 1)
    const id = claimantId(claimant)
    const left = (this.#present.get(id) ?? 1) - 1
    if (left === 0) this.#present.delete(id)
    else this.#present.set(id, left)
  }

  #position(claimant: Claimant): number {
    let low = 0
    let high = this.#claimants.length
    while (low < high) {
      const middle = (low + high) >>> 1
      const at = this.#claimants[middle]
      if (at !== undefined && compareClaimants(at, claimant) < 0) low = middle + 1
      else high = middle
    }
    return low
  }
}

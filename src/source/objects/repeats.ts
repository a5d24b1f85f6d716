import type { Endpoint } from '../../model/endpoint-slice.ts'
import type { IP } from '../../model/ip.ts'
import type { Place } from './place.ts'

/** Up to here comparing with every earlier endpoint is cheaper than a map of them. */
const fewEndpoints = 16

/**
 * Endpoints that say exactly what an earlier one said. Two that share an address but differ (a pod's address used again
 * while the old pod terminates) both stay: merging slices is where one of them wins.
 */
export class Repeats {
  readonly #firsts: Map<IP, Endpoint> | undefined
  #signatures: Set<string> | undefined = undefined
  #count = 0
  #index = -1
  #ip = ''

  constructor(size: number) {
    this.#firsts = size > fewEndpoints ? new Map() : undefined
  }

  /** Whether `endpoint`, the item `index` of its list, repeats one of those before it. */
  has(earlier: readonly Endpoint[], endpoint: Endpoint, index: number): boolean {
    const first = this.#first(earlier, endpoint)
    if (first === undefined) return false
    this.#signatures ??= new Set()
    this.#signatures.add(JSON.stringify(first))
    const before = this.#signatures.size
    this.#signatures.add(JSON.stringify(endpoint))
    if (this.#signatures.size > before) return false
    if (this.#count++ === 0) {
      this.#index = index
      this.#ip = endpoint.ip
    }
    return true
  }

  /** One problem for the whole list. */
  report(root: Place): void {
    if (this.#count === 0) return
    const others = this.#count === 1 ? '' : `, as do ${this.#count - 1} more`
    root
      .item('endpoints', this.#index)
      .problem('', `repeats an earlier endpoint with ${this.#ip}${others}, so it is left out`)
  }

  #first(earlier: readonly Endpoint[], endpoint: Endpoint): Endpoint | undefined {
    if (this.#firsts === undefined) {
      for (let i = 0; i < earlier.length; i++) if (earlier[i]?.ip === endpoint.ip) return earlier[i]
      return undefined
    }
    const first = this.#firsts.get(endpoint.ip)
    if (first === undefined) this.#firsts.set(endpoint.ip, endpoint)
    return first
  }
}

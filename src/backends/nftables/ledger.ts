import type { ChainClass } from './class.ts'
import { type Element, elementKey } from './element.ts'
import type { SetName } from './schema.ts'

/** Sets whose elements several services may ask for: an element goes when its last user goes. */
const sharedSets: ReadonlySet<SetName> = new Set<SetName>(['cluster-ips', 'hairpin-connections'])
export const isShared = (element: Element): boolean => sharedSets.has(element.set)

interface Counted<T> {
  readonly value: T
  uses: number
}

/**
 * What our table in the kernel holds beyond the elements that belong to one service: how many services use each shared
 * element and each class chain, and which class chains exist (an unused one stays until it is tidied away).
 * Immutable for readers; {@link LedgerDelta} carries a change until the commit that makes it true.
 */
export class Ledger {
  readonly #shared = new Map<string, Counted<Element>>()
  readonly #chains = new Map<string, Counted<ChainClass>>()
  readonly #present = new Set<string>()

  uses(element: Element): number {
    return this.#shared.get(elementKey(element))?.uses ?? 0
  }

  chainUses(name: string): number {
    return this.#chains.get(name)?.uses ?? 0
  }

  *usedChains(): Generator<readonly [string, ChainClass]> {
    for (const [name, { value }] of this.#chains) yield [name, value]
  }

  unusedChains(): readonly string[] {
    return [...this.#present].filter((name) => !this.#chains.has(name))
  }

  get sharedCount(): number {
    return this.#shared.size
  }

  forgetChain(name: string): void {
    this.#present.delete(name)
  }

  noteChain(name: string): void {
    this.#present.add(name)
  }

  /** Call only when the kernel has accepted what the delta stands for. */
  absorb(delta: LedgerDelta): void {
    for (const [key, { value, uses }] of delta.shared) count(this.#shared, key, value, uses)
    for (const [name, { value, uses }] of delta.chains) {
      count(this.#chains, name, value, uses)
      if (this.#chains.has(name)) this.#present.add(name)
    }
  }
}

const count = <T>(into: Map<string, Counted<T>>, key: string, value: T, change: number): void => {
  const uses = (into.get(key)?.uses ?? 0) + change
  if (uses > 0) into.set(key, { value, uses })
  else into.delete(key)
}

/** Changes of use counts, collected while a plan is made. */
export class LedgerDelta {
  readonly shared = new Map<string, Counted<Element>>()
  readonly chains = new Map<string, Counted<ChainClass>>()

  element(element: Element, change: 1 | -1): void {
    add(this.shared, elementKey(element), element, change)
  }

  chain(name: string, chain: ChainClass, change: 1 | -1): void {
    add(this.chains, name, chain, change)
  }
}

const add = <T>(into: Map<string, Counted<T>>, key: string, value: T, change: number): void => {
  const known = into.get(key)
  if (known === undefined) into.set(key, { value, uses: change })
  else known.uses += change
}

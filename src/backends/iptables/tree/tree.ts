import type { RuleText } from '../../../kernel/iptables/rule-text.ts'
import type { Entry, OwnChain } from '../layout-types.ts'
import { chainsFrom, type Place, rulesOf } from './chain-rules.ts'
import { type ChainChanges, compare, sameRules } from './changes.ts'
import { byKey, type Change, entriesOf, find, type Node, ruleCountOf, sizeOf, update } from './node.ts'
import { isKey, type TreeShape } from './slot.ts'

export type { TreeShape } from './slot.ts'

/**
 * So many entries are tested one after the other before they are split. From 4 to 64 a connection takes the same time
 * (section iptables-dispatch of bench/); larger leaves are fewer chains: 272 for 10,000 Services with 64, 3,136 with 16.
 */
export const defaultLeafSize = 64

export interface TreeChanges extends ChainChanges {
  /** Whether the rules of the root differ. They are written behind `written` and before `gone`. */
  readonly root: boolean
}

/**
 * Entries of a long dispatch chain, spread over a tree of chains by the digits of their keys. A packet that an entry
 * matches meets at most 16 children at each branch on its way (a child with one entry counts as the rules of that
 * entry) and `leafSize` entries at its end, and there are at most as many branches as a key has digits; in a cluster
 * that hands out addresses at random or in order, about log16(size / leafSize).
 *
 * Immutable. Equal entries make equal chains, whatever the order of changes was.
 */
export class DispatchTree {
  readonly shape: TreeShape
  readonly #leafSize: number
  readonly #root: Node | undefined

  private constructor(shape: TreeShape, leafSize: number, root: Node | undefined) {
    this.shape = shape
    this.#leafSize = leafSize
    this.#root = root
  }

  /** `leafSize`: at least 1; {@link defaultLeafSize} unless something is measured. */
  static empty(shape: TreeShape, leafSize: number = defaultLeafSize): DispatchTree {
    if (!Number.isInteger(leafSize) || leafSize < 1) throw new RangeError(`leaf size ${leafSize}`)
    return new DispatchTree(shape, leafSize, undefined)
  }

  get size(): number {
    return sizeOf(this.#root)
  }

  /** Of all chains, the root among them. */
  get ruleCount(): number {
    return ruleCountOf(this.#root)
  }

  get(key: string): Entry | undefined {
    return find(this.#root, key)
  }

  /** By key, ascending. */
  entries(): Iterable<Entry> {
    return entriesOf(this.#root)
  }

  /**
   * A new tree, which shares what did not change; this one stays as it is. Removes first: to replace the rules of a key,
   * name it in both. Throws RangeError when a removed key is not there or is named twice, when an added one is there
   * already or comes twice, and when a key is not one of this tree's kind: a ledger that does so has lost count, and
   * would leave a Service without its rules later.
   */
  with(added: Iterable<Entry>, removed: Iterable<string>): DispatchTree {
    const changes = new Map<string, Change>()
    for (const key of removed) {
      if (this.get(key) === undefined) throw this.#error(`has no ${key} to remove`)
      if (changes.has(key)) throw this.#error(`${key} is removed twice`)
      changes.set(key, { key, entry: undefined })
    }
    for (const entry of added) {
      const { key } = entry
      if (!isKey(this.shape, key)) throw this.#error(`"${key}" is no key`)
      const change = changes.get(key)
      if (change?.entry !== undefined || (change === undefined && this.get(key) !== undefined))
        throw this.#error(`has ${key} already`)
      changes.set(key, { key, entry })
    }
    const real = [...changes.values()].filter(({ key, entry }) => !sameEntry(this.get(key), entry)).sort(byKey)
    const root = update(this.#root, real, this.#leafSize)
    return root === this.#root ? this : new DispatchTree(this.shape, this.#leafSize, root)
  }

  /** Rules of the root that lead to its children, or the entries' own rules while there are few. */
  rootRules(): readonly RuleText[] {
    const place = this.#place()
    return place === undefined ? [] : rulesOf(this.shape, place)
  }

  /** All chains but the root. A chain comes after those it jumps to. */
  chains(): Iterable<OwnChain> {
    const place = this.#place()
    return place === undefined ? [] : chainsFrom(this.shape, place)
  }

  /**
   * What to write to get here from `before`, a tree of the same shape: `written` in its order, the root, then `gone` in
   * its order. The cost follows the change, not the size, when one tree came from the other by {@link with}.
   */
  changesSince(before: DispatchTree): TreeChanges {
    if (this.#root === before.#root) return { written: [], gone: [], root: false }
    return {
      ...compare(this.shape, before.#place(), this.#place()),
      root: !sameRules(this.rootRules(), before.rootRules()),
    }
  }

  #place(): Place | undefined {
    return this.#root === undefined ? undefined : { digits: undefined, node: this.#root }
  }

  #error(text: string): RangeError {
    return new RangeError(`${this.shape.root}: ${text}`)
  }
}

const sameEntry = (a: Entry | undefined, b: Entry | undefined): boolean =>
  a !== undefined && b !== undefined && sameRules(a.rules, b.rules)

import type { TableFamily } from './constants.ts'
import type { SetInfo } from './objects.ts'
import type { Verdict } from './verdict.ts'

export interface FakeElement {
  readonly key: Uint8Array
  readonly keyEnd: Uint8Array | undefined
  readonly data: Uint8Array | Verdict | undefined
  readonly comment: string | undefined
  readonly flags: number
}

export interface FakeRule {
  readonly handle: bigint
  readonly comment: string | undefined
  readonly expressions: Uint8Array
  /** Names of what the rule refers to, once per reference. */
  readonly chains: readonly string[]
  readonly sets: readonly string[]
}

export interface FakeChain {
  readonly name: string
  readonly comment: string | undefined
  readonly handle: bigint
  readonly base: boolean
  readonly rules: FakeRule[]
}

export interface FakeSet extends SetInfo {
  readonly elements: Map<string, FakeElement>
}

export interface FakeTable {
  readonly family: TableFamily
  readonly name: string
  readonly comment: string | undefined
  readonly handle: bigint
  readonly chains: Map<string, FakeChain>
  readonly sets: Map<string, FakeSet>
}

/** Tables, and how to take back what was done to them since {@link begin}. */
export class FakeState {
  readonly tables = new Map<string, FakeTable>()
  generation = 1
  #handle = 0n
  #undo: (() => void)[] = []

  nextHandle(): bigint {
    return ++this.#handle
  }

  begin(): void {
    this.#undo = []
  }

  rollBack(): void {
    for (const step of this.#undo.reverse()) step()
    this.#undo = []
  }

  /** The kernel counts a transaction only if something was done in it, even if that changed nothing. */
  commit(): void {
    if (this.#undo.length > 0) this.generation++
    this.#undo = []
  }

  /** Something was done that needs no taking back. */
  touch(): void {
    this.#undo.push(() => {})
  }

  put<T>(map: Map<string, T>, key: string, value: T): void {
    const before = map.get(key)
    map.set(key, value)
    this.#undo.push(() => {
      if (before === undefined) map.delete(key)
      else map.set(key, before)
    })
  }

  remove<T>(map: Map<string, T>, key: string): void {
    const before = map.get(key)
    if (before === undefined) return
    map.delete(key)
    this.#undo.push(() => map.set(key, before))
  }

  append(rules: FakeRule[], rule: FakeRule): void {
    rules.push(rule)
    this.#undo.push(() => rules.pop())
  }

  clear(rules: FakeRule[]): void {
    const before = rules.splice(0)
    if (before.length > 0) this.#undo.push(() => rules.push(...before))
  }
}

export const tableKey = (family: TableFamily, name: string): string => `${family} ${name}`

/** How many rules and elements point to a chain; rules of the chain itself count if `own`. */
export const referencesTo = (table: FakeTable, chain: string, own: boolean): number => {
  let count = 0
  for (const { name, rules } of table.chains.values()) {
    if (name === chain && !own) continue
    for (const rule of rules) count += rule.chains.filter((target) => target === chain).length
  }
  for (const set of table.sets.values()) {
    if (set.data.kind !== 'verdict') continue
    for (const { data } of set.elements.values()) if (pointsTo(data, chain)) count++
  }
  return count
}

const pointsTo = (data: FakeElement['data'], chain: string): boolean =>
  data !== undefined && 'kind' in data && (data.kind === 'goto' || data.kind === 'jump') && data.chain === chain

export const isSetInUse = (table: FakeTable, set: string): boolean =>
  [...table.chains.values()].some(({ rules }) => rules.some(({ sets }) => sets.includes(set)))

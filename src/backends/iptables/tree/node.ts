import type { Entry } from '../layout-types.ts'

/** A set of entries; none is `undefined`. Never changed: what a change does not touch, two trees share. */
export type Node = Leaf | Branch

/** From one entry to as many as the tree allows in a leaf. */
export interface Leaf {
  readonly kind: 'leaf'
  /** Sorted by key. */
  readonly entries: readonly Entry[]
}

/** More entries than a leaf may have. */
export interface Branch {
  readonly kind: 'branch'
  /** The longest that all keys begin with. */
  readonly prefix: string
  /** 16 places, by the digit that follows the prefix; at least two are taken. */
  readonly children: readonly (Node | undefined)[]
  readonly size: number
  /** See {@link ruleCountOf}. */
  readonly ruleCount: number
}

/** The entry that a key shall have from now on; undefined: the key goes. */
export interface Change {
  readonly key: string
  readonly entry: Entry | undefined
}

export const sizeOf = (node: Node | undefined): number => {
  if (node === undefined) return 0
  return node.kind === 'leaf' ? node.entries.length : node.size
}

/** Rules of the entries, and the jumps that lead to them from this node on. */
export const ruleCountOf = (node: Node | undefined): number => {
  if (node?.kind === 'branch') return node.ruleCount
  return node?.entries.reduce((sum, { rules }) => sum + rules.length, 0) ?? 0
}

/** One entry alone is tested where its chain would be called: a test, a jump and a chain less. */
export const isInline = (node: Node): boolean => sizeOf(node) === 1

/** By key, ascending. */
export function* entriesOf(node: Node | undefined): Generator<Entry> {
  if (node?.kind === 'leaf') yield* node.entries
  else for (const child of node?.children ?? []) yield* entriesOf(child)
}

export const find = (root: Node | undefined, key: string): Entry | undefined => {
  let node = root
  while (node?.kind === 'branch') {
    if (!key.startsWith(node.prefix)) return undefined
    node = node.children[digitAt(key, node.prefix.length)]
  }
  return node?.entries.find((entry) => entry.key === key)
}

/**
 * The only tree that there is for these entries: a branch splits at the first digit in which its keys differ, so neither
 * the order of changes nor what was there in between shows. `entries`: sorted by key, each key once.
 */
export const build = (entries: readonly Entry[], leafSize: number): Node | undefined => {
  const [first, last] = [entries[0], entries.at(-1)]
  if (first === undefined || last === undefined) return undefined
  if (entries.length <= leafSize) return { kind: 'leaf', entries }
  const prefix = commonPrefix(first.key, last.key)
  const children = byDigit(entries, prefix.length).map((part) => build(part, leafSize))
  return branch(prefix, children)
}

const branch = (prefix: string, children: Branch['children']): Branch => {
  let size = 0
  let ruleCount = 0
  for (const child of children) {
    if (child === undefined) continue
    size += sizeOf(child)
    ruleCount += ruleCountOf(child) + (isInline(child) ? 0 : 1)
  }
  return { kind: 'branch', prefix, children, size, ruleCount }
}

/** `changes`: sorted by key, each key once; keys that go are there. Costs what the changed paths cost. */
export const update = (node: Node | undefined, changes: readonly Change[], leafSize: number): Node | undefined => {
  if (changes.length === 0) return node
  if (node === undefined) return build(added(changes), leafSize)
  if (node.kind === 'leaf') return build(merge(node.entries, changes), leafSize)
  const inside = changes.filter(({ key }) => key.startsWith(node.prefix))
  const outside = inside.length === changes.length ? [] : changes.filter(({ key }) => !key.startsWith(node.prefix))
  const parts = byDigit(inside, node.prefix.length)
  const children = node.children.map((child, digit) => update(child, parts[digit] ?? [], leafSize))
  return addOutside(normal(node.prefix, children, leafSize), added(outside), leafSize)
}

/** What is left of a branch whose children changed: itself, its only child, or so little that it is a leaf. */
const normal = (prefix: string, children: Branch['children'], leafSize: number): Node | undefined => {
  const size = children.reduce((sum, child) => sum + sizeOf(child), 0)
  if (size <= leafSize)
    return build(
      children.flatMap((child) => [...entriesOf(child)]),
      leafSize,
    )
  const taken = children.filter((child) => child !== undefined)
  return taken.length === 1 ? taken[0] : branch(prefix, children)
}

/** Adds entries that do not share the node's prefix, or not that of the branch which the node was: sorted by key. */
const addOutside = (node: Node | undefined, entries: readonly Entry[], leafSize: number): Node | undefined => {
  const [first, last] = [entries[0], entries.at(-1)]
  if (first === undefined || last === undefined) return node
  if (node === undefined) return build(entries, leafSize)
  const asChanges = entries.map((entry) => ({ key: entry.key, entry }))
  if (node.kind === 'leaf') return update(node, asChanges, leafSize)
  const prefix = commonPrefix(node.prefix, commonPrefix(first.key, last.key))
  const own = digitAt(node.prefix, prefix.length)
  const children = byDigit(asChanges, prefix.length).map((part, digit) =>
    update(digit === own ? node : undefined, part, leafSize),
  )
  return branch(prefix, children)
}

const merge = (entries: readonly Entry[], changes: readonly Change[]): readonly Entry[] => {
  const merged = new Map<string, Entry | undefined>(entries.map((entry) => [entry.key, entry]))
  for (const { key, entry } of changes) merged.set(key, entry)
  return [...merged.values()].filter((entry) => entry !== undefined).sort(byKey)
}

const added = (changes: readonly Change[]): readonly Entry[] =>
  changes.flatMap(({ entry }) => (entry === undefined ? [] : [entry]))

/** Keys are digits of equal number, so they sort as numbers do. */
export const byKey = (a: { readonly key: string }, b: { readonly key: string }): number =>
  a.key < b.key ? -1 : a.key > b.key ? 1 : 0

const commonPrefix = (a: string, b: string): string => {
  let length = 0
  while (length < a.length && a[length] === b[length]) length++
  return a.slice(0, length)
}

const digitAt = (key: string, at: number): number => Number.parseInt(key.charAt(at), 16)

const byDigit = <T extends { readonly key: string }>(list: readonly T[], at: number): readonly (readonly T[])[] => {
  const parts: T[][] = Array.from({ length: 16 }, () => [])
  for (const item of list) parts[digitAt(item.key, at)]?.push(item)
  return parts
}

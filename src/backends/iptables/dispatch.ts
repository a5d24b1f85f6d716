import type { RuleText } from '../../kernel/iptables/rule-text.ts'
import { assertNever } from '../../model/assert-never.ts'
import type { ServiceKey } from '../../model/names.ts'
import type { FixedChain } from '../rules/fixed-layout.ts'
import { sameFixed } from '../rules/plan-fixed.ts'
import type { TableWriter } from '../rules/table-writer.ts'
import type { Entry } from './layout-types.ts'
import { replaceAround } from './plan-fixed.ts'
import type { IptablesSettings } from './settings.ts'
import { DispatchTree } from './tree/tree.ts'

/** How the entries of one chain are laid out: as its own rules, or down a tree. */
export type Spread =
  | { readonly kind: 'flat'; readonly rules: number }
  | { readonly kind: 'tree'; readonly tree: DispatchTree }

export interface Dispatch {
  readonly services: Spread
  readonly nodePorts: Spread
}

/** Entries that go and come in one chain. */
export interface EntryDelta {
  readonly removed: TaggedEntry[]
  readonly added: TaggedEntry[]
}

/** An entry, and the Service that it is for. */
export interface TaggedEntry {
  readonly entry: Entry
  readonly tag: ServiceKey
}

/** The chains of table nat that hold entries. With ipset, rules that are the same for all stay before them. */
export const entryChains = ({ ipset }: Pick<IptablesSettings, 'ipset'>): Readonly<Record<keyof Dispatch, string>> =>
  ipset
    ? { services: 'WEIR-SERVICES', nodePorts: 'WEIR-NODEPORTS' }
    : { services: 'KUBE-SERVICES', nodePorts: 'KUBE-NODEPORTS' }

export const emptyDispatch = (settings: IptablesSettings): Dispatch => {
  if (settings.dispatch === 'flat')
    return { services: { kind: 'flat', rules: 0 }, nodePorts: { kind: 'flat', rules: 0 } }
  const { family } = settings
  const root = entryChains(settings)
  return {
    services: { kind: 'tree', tree: DispatchTree.empty({ root: root.services, family, kind: 'address' }) },
    nodePorts: { kind: 'tree', tree: DispatchTree.empty({ root: root.nodePorts, family, kind: 'port' }) },
  }
}

/** Rules that the entries take, in chains of the tree too. */
export const spreadRules = (spread: Spread): number => (spread.kind === 'flat' ? spread.rules : spread.tree.ruleCount)

/** A chain that holds entries, as it was and as it is to be. */
export interface Root {
  readonly before: FixedChain
  readonly after: FixedChain
}

/** Writes what changes in `root` and below it. */
export const planEntries = (spread: Spread, root: Root, delta: EntryDelta, writer: TableWriter): Spread => {
  switch (spread.kind) {
    case 'flat':
      return { kind: 'flat', rules: spread.rules + planFlat(root, delta, writer) }
    case 'tree':
      return { kind: 'tree', tree: planTree(spread.tree, root, delta, writer) }
    default:
      return assertNever(spread, 'spread')
  }
}

/** Rule by rule; returns by how many there are more. */
const planFlat = ({ before, after }: Root, { removed, added }: EntryDelta, writer: TableWriter): number => {
  if (!sameFixed(before, after)) replaceAround(before, after, writer)
  const { name } = after
  let grown = 0
  for (const { entry, tag } of removed) {
    for (const rule of entry.rules) writer.delete(name, rule, tag)
    grown -= entry.rules.length
  }
  for (const { entry, tag } of added) {
    // Inserted one before the other, the first has to come last.
    if (after.tail.length > 0) for (const rule of entry.rules.toReversed()) writer.insert(name, rule, tag)
    else for (const rule of entry.rules) writer.append(name, rule, tag)
    grown += entry.rules.length
  }
  return grown
}

const planTree = (
  old: DispatchTree,
  { before, after }: Root,
  { removed, added }: EntryDelta,
  writer: TableWriter,
): DispatchTree => {
  const tree = old.with(
    added.map(({ entry }) => entry),
    removed.map(({ entry }) => entry.key),
  )
  const changes = tree.changesSince(old)
  const tags = tagsOf(added)
  for (const { name, rules } of changes.written) writer.taggedChain(name, rules, tags)
  for (const name of changes.gone) writer.drop(name)
  if (changes.root || !sameFixed(before, after)) writer.taggedChain(after.name, rootRules(after, tree), tags)
  return tree
}

/** Which Service each rule of an entry is for. */
export const tagsOf = (entries: readonly TaggedEntry[]): ReadonlyMap<RuleText, ServiceKey> => {
  const tags = new Map<RuleText, ServiceKey>()
  for (const { entry, tag } of entries) for (const rule of entry.rules) tags.set(rule, tag)
  return tags
}

export const rootRules = (root: FixedChain, tree: DispatchTree): readonly RuleText[] => [
  ...root.head,
  ...tree.rootRules(),
  ...root.tail,
]

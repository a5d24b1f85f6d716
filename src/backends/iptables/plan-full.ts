import type { ServiceState } from '../../model/desired.ts'
import type { HostState } from '../../model/host.ts'
import type { ServicePortId } from '../../model/names.ts'
import { ElementDelta } from '../rules/element-delta.ts'
import type { FixedChain, FixedTable } from '../rules/fixed-layout.ts'
import { setChanges } from '../rules/set-changes.ts'
import { type MemberRule, TableDiff } from '../rules/table-diff.ts'
import { emptyDispatch, entryChains, rootRules, type Spread, type TaggedEntry, tagsOf } from './dispatch.ts'
import { fixedLayout } from './fixed.ts'
import { layoutService } from './layout.ts'
import { endpointCount, layoutContext } from './layout-context.ts'
import type { ObservedRules } from './observe.ts'
import type { IptablesPlan } from './plan.ts'
import { summarize } from './plan-summary.ts'
import { type SetRole, setSchema } from './sets.ts'
import type { IptablesSettings } from './settings.ts'

/** From whatever was found to what is wanted. Chains that are right already are not written. */
export const planFull = (
  host: HostState,
  services: Iterable<ServiceState>,
  found: ObservedRules,
  settings: IptablesSettings,
): IptablesPlan => {
  const { family } = settings
  const states = new Map<ServicePortId, ServiceState>()
  let endpoints = 0
  for (const state of services) {
    states.set(state.id, state)
    endpoints += endpointCount(state)
  }
  const mangle = new TableDiff('mangle', found.tables.get('mangle'), family)
  const filter = new TableDiff('filter', found.tables.get('filter'), family)
  const nat = new TableDiff('nat', found.tables.get('nat'), family)

  const members = new Map<string, MemberRule[]>()
  const entries = { services: [] as TaggedEntry[], nodePorts: [] as TaggedEntry[] }
  const elements = new ElementDelta<SetRole>(new Map())
  const context = layoutContext(host, settings, endpoints)
  for (const state of states.values()) {
    const tag = state.service
    const layout = layoutService(state, context)
    for (const { name, rules } of layout.chains) nat.chain(name, rules, tag)
    for (const entry of layout.services) entries.services.push({ entry, tag })
    for (const entry of layout.nodePorts) entries.nodePorts.push({ entry, tag })
    for (const { chain, rule } of layout.filter) {
      const list = members.get(chain)
      if (list === undefined) members.set(chain, [{ rule, tag }])
      else list.push({ rule, tag })
    }
    for (const element of layout.elements) elements.count(element, 1)
  }

  const fixed = fixedLayout(host, settings)
  const roots = entryChains(settings)
  const empty = emptyDispatch(settings)
  const dispatch = { ...empty }
  compareTable(mangle, fixed.mangle, () => false)
  compareTable(filter, fixed.filter, (chain) => {
    const list = members.get(chain.name)
    if (list === undefined) return false
    filter.around(chain, list)
    return true
  })
  compareTable(nat, fixed.nat, (chain) => {
    const root = chain.name === roots.services ? 'services' : chain.name === roots.nodePorts ? 'nodePorts' : undefined
    if (root === undefined) return false
    dispatch[root] = compareEntries(empty[root], chain, entries[root], nat)
    return true
  })
  for (const table of [mangle, filter, nat]) table.dropUnwanted()

  const sets = settings.ipset
    ? setChanges(elements, found.sets, setSchema(family))
    : { ...elements.changes(), destroy: [...found.sets.keys()] }
  const writers = [mangle.writer, filter.writer, nat.writer]
  const rules = { mangle: mangle.rules, filter: filter.rules, nat: nat.rules }
  return {
    ...summarize(writers, sets, true),
    sets,
    outcome: {
      kind: 'replace',
      belief: { host, fixed, states, endpoints, dispatch, elements: elements.uses, rules },
    },
  }
}

/** `special`: whether a chain holds more than its fixed rules, and has been compared. */
const compareTable = (
  diff: TableDiff,
  { chains, hooks }: FixedTable,
  special: (chain: FixedChain) => boolean,
): void => {
  for (const chain of chains) {
    if (chain.shared) diff.shared(chain.name)
    else if (!special(chain)) diff.chain(chain.name, [...chain.head, ...chain.tail])
  }
  diff.hooks(hooks)
}

const compareEntries = (empty: Spread, root: FixedChain, entries: readonly TaggedEntry[], diff: TableDiff): Spread => {
  if (empty.kind === 'flat') {
    const members = entries.flatMap(({ entry, tag }) => entry.rules.map((rule) => ({ rule, tag })))
    diff.around(root, members)
    return { kind: 'flat', rules: members.length }
  }
  const tree = empty.tree.with(
    entries.map(({ entry }) => entry),
    [],
  )
  const tags = tagsOf(entries)
  for (const { name, rules } of tree.chains()) diff.taggedChain(name, rules, tags)
  diff.taggedChain(root.name, rootRules(root, tree), tags)
  return { kind: 'tree', tree }
}

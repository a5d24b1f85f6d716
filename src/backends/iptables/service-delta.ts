import type { ServiceKey } from '../../model/names.ts'
import { sameRules } from '../rules/plan-fixed.ts'
import type { TableWriter } from '../rules/table-writer.ts'
import type { EntryDelta } from './dispatch.ts'
import type { Entry, FilterRule, ServiceLayout, SetElement } from './layout-types.ts'

/** Writes what differs between the layouts of service ports, and keeps together what many of them put into one chain. */
export class ServiceDelta {
  readonly services: EntryDelta = { removed: [], added: [] }
  readonly nodePorts: EntryDelta = { removed: [], added: [] }
  readonly elementsRemoved: SetElement[] = []
  readonly elementsAdded: SetElement[] = []
  filterRules = 0
  chainRules = 0
  readonly #filter: TableWriter
  readonly #nat: TableWriter

  constructor(filter: TableWriter, nat: TableWriter) {
    this.#filter = filter
    this.#nat = nat
  }

  change(before: ServiceLayout, after: ServiceLayout, tag: ServiceKey | undefined): void {
    if (tag === undefined) return
    entries(before.services, after.services, tag, this.services)
    entries(before.nodePorts, after.nodePorts, tag, this.nodePorts)
    this.#members(before.filter, after.filter, tag)
    this.#chains(before, after, tag)
    if (before.elements.length + after.elements.length === 0) return
    this.elementsRemoved.push(...before.elements)
    this.elementsAdded.push(...after.elements)
  }

  #members(before: readonly FilterRule[], after: readonly FilterRule[], tag: ServiceKey): void {
    const text = ({ chain, rule }: FilterRule): string => `${chain} ${rule}`
    const had = new Set(before.map(text))
    const has = new Set(after.map(text))
    for (const member of before) if (!has.has(text(member))) this.#filter.delete(member.chain, member.rule, tag)
    for (const member of after) if (!had.has(text(member))) this.#filter.append(member.chain, member.rule, tag)
    this.filterRules += after.length - before.length
  }

  #chains(before: ServiceLayout, after: ServiceLayout, tag: ServiceKey): void {
    const old = new Map(before.chains.map(({ name, rules }) => [name, rules]))
    for (const { name, rules } of after.chains) {
      const had = old.get(name)
      old.delete(name)
      this.chainRules += rules.length - (had?.length ?? 0)
      if (had === undefined || !sameRules(had, rules)) this.#nat.chain(name, rules, tag)
    }
    for (const [name, rules] of old) {
      this.chainRules -= rules.length
      this.#nat.drop(name)
    }
  }
}

const entries = (before: readonly Entry[], after: readonly Entry[], tag: ServiceKey, into: EntryDelta): void => {
  const old = new Map(before.map((entry) => [entry.key, entry]))
  for (const entry of after) {
    const had = old.get(entry.key)
    if (had !== undefined && sameRules(had.rules, entry.rules)) {
      old.delete(entry.key)
      continue
    }
    into.added.push({ entry, tag })
  }
  for (const entry of old.values()) into.removed.push({ entry, tag })
}

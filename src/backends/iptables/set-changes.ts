import type { Member } from '../../kernel/ipset/member.ts'
import type { ElementDelta } from './element-delta.ts'
import type { ObservedSet } from './observe.ts'
import type { SetChanges } from './plan.ts'
import { allSetRoles, type SetRole, setName } from './sets.ts'
import type { IptablesSettings } from './settings.ts'

/** From the sets that were found to those that are wanted: all roles with ipset, none without. */
export const setChanges = (
  wanted: ElementDelta,
  found: ReadonlyMap<string, ObservedSet>,
  { ipset, family }: IptablesSettings,
): SetChanges => {
  const names = new Set(ipset ? allSetRoles.map((role) => setName(role, family)) : [])
  const destroy = [...found.keys()].filter((name) => !names.has(name))
  if (!ipset) return { create: [], add: new Map(), remove: new Map(), destroy }
  const add = new Map(wanted.changes().add)
  const create: SetRole[] = []
  const remove = new Map<SetRole, readonly Member[]>()
  for (const role of allSetRoles) {
    const there = found.get(setName(role, family))?.members
    if (there === undefined) {
      create.push(role)
      continue
    }
    const members = new Set(add.get(role))
    const missing = [...members].filter((member) => !there.has(member))
    if (missing.length === 0) add.delete(role)
    else add.set(role, missing)
    const extra = [...there].filter((member) => !members.has(member))
    if (extra.length > 0) remove.set(role, extra)
  }
  return { create, add, remove, destroy }
}

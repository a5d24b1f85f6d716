import type { Member } from '../../kernel/ipset/member.ts'
import type { ElementDelta } from './element-delta.ts'
import type { ObservedSet } from './observed-sets.ts'
import { memberKey, type SetChanges, type SetSchema } from './set-schema.ts'

/** From the sets that were found to those that are wanted: all of the schema, and none besides. */
export const setChanges = <Role extends string>(
  wanted: ElementDelta<Role>,
  found: ReadonlyMap<string, ObservedSet>,
  { roles, ref }: SetSchema<Role>,
): SetChanges<Role> => {
  const names = new Set(roles.map((role) => ref(role).name))
  const add = new Map(wanted.changes().add)
  const create: Role[] = []
  const replace = new Map<Role, readonly Member[]>()
  const remove = new Map<Role, readonly Member[]>()
  for (const role of roles) {
    const there = found.get(ref(role).name)?.members
    if (there === undefined) {
      create.push(role)
      continue
    }
    const members = add.get(role) ?? []
    const left = new Map([...there].map((member) => [memberKey(member), member]))
    const missing: Member[] = []
    const different: Member[] = []
    for (const member of members) {
      const key = memberKey(member)
      const had = left.get(key)
      left.delete(key)
      if (had === undefined) missing.push(member)
      else if (had !== member) different.push(member)
    }
    put(add, role, missing)
    put(replace, role, different)
    put(remove, role, [...left.values()])
  }
  return { create, add, replace, remove, destroy: [...found.keys()].filter((name) => !names.has(name)) }
}

const put = <Role>(into: Map<Role, readonly Member[]>, role: Role, members: readonly Member[]): void => {
  if (members.length > 0) into.set(role, members)
  else into.delete(role)
}

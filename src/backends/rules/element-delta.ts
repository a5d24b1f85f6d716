import type { Member } from '../../kernel/ipset/member.ts'
import { type ElementUse, memberKey, type SetChanges, type SetElement } from './set-schema.ts'

export const elementKey = ({ set, member }: SetElement<string>): string => `${set} ${memberKey(member)}`

/** Changes of how many service ports ask for each member. A member goes when its last user goes. */
export class ElementDelta<Role extends string> {
  /** Uses after the change, of those members whose uses changed. */
  readonly uses = new Map<string, ElementUse<Role>>()
  readonly #before: ReadonlyMap<string, ElementUse<Role>>

  constructor(before: ReadonlyMap<string, ElementUse<Role>>) {
    this.#before = before
  }

  /** Of users that want different marks the one that came last is heard. */
  count(element: SetElement<Role>, change: 1 | -1): void {
    const key = elementKey(element)
    const known = this.uses.get(key) ?? this.#before.get(key)
    const kept = change === 1 ? element : (known?.element ?? element)
    this.uses.set(key, { element: kept, uses: (known?.uses ?? 0) + change })
  }

  changes(): SetChanges<Role> {
    const add = new Map<Role, Member[]>()
    const replace = new Map<Role, Member[]>()
    const remove = new Map<Role, Member[]>()
    for (const [key, { element, uses }] of this.uses) {
      const before = this.#before.get(key)
      const had = before !== undefined && before.uses > 0
      if (!had && uses > 0) push(add, element)
      else if (had && uses === 0) push(remove, before.element)
      else if (had && before.element.member !== element.member) push(replace, element)
    }
    return { create: [], add, replace, remove, destroy: [] }
  }
}

const push = <Role extends string>(into: Map<Role, Member[]>, { set, member }: SetElement<Role>): void => {
  const list = into.get(set)
  if (list === undefined) into.set(set, [member])
  else list.push(member)
}

import type { Member } from '../../kernel/ipset/member.ts'
import type { SetElement } from './layout-types.ts'
import type { ElementUse, SetChanges } from './plan.ts'
import type { SetRole } from './sets.ts'

export const elementKey = ({ set, member }: SetElement): string => `${set} ${member}`

/** Changes of how many service ports ask for each member. A member goes when its last user goes. */
export class ElementDelta {
  /** Uses after the change, of those members whose uses changed. */
  readonly uses = new Map<string, ElementUse>()
  readonly #before: ReadonlyMap<string, ElementUse>

  constructor(before: ReadonlyMap<string, ElementUse>) {
    this.#before = before
  }

  count(element: SetElement, change: 1 | -1): void {
    const key = elementKey(element)
    const uses = (this.uses.get(key) ?? this.#before.get(key))?.uses ?? 0
    this.uses.set(key, { element, uses: uses + change })
  }

  changes(): SetChanges {
    const add = new Map<SetRole, Member[]>()
    const remove = new Map<SetRole, Member[]>()
    for (const [key, { element, uses }] of this.uses) {
      const before = this.#before.get(key)?.uses ?? 0
      if (before === 0 && uses > 0) push(add, element)
      if (before > 0 && uses === 0) push(remove, element)
    }
    return { create: [], add, remove, destroy: [] }
  }
}

const push = (into: Map<SetRole, Member[]>, { set, member }: SetElement): void => {
  const list = into.get(set)
  if (list === undefined) into.set(set, [member])
  else list.push(member)
}

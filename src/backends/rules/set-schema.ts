import type { SetRef } from '../../kernel/ipset/ipset.ts'
import type { Member } from '../../kernel/ipset/member.ts'
import type { Family } from '../../model/ip.ts'

/** The sets of one backend and family, by what they decide. */
export interface SetSchema<Role extends string> {
  readonly family: Family
  readonly roles: readonly Role[]
  readonly ref: (role: Role) => SetRef
  /** Whether the name is one of ours, in use or not. */
  readonly owns: (name: string) => boolean
  /** Name of the set that is filled before it takes another's place. */
  readonly spare: string
}

export interface SetElement<Role extends string> {
  readonly set: Role
  readonly member: Member
}

/** How many service ports ask for a member. */
export interface ElementUse<Role extends string> {
  readonly element: SetElement<Role>
  readonly uses: number
}

/** What becomes of the sets; `create`, `add` and `replace` before what needs them, the others after it. */
export interface SetChanges<Role extends string> {
  readonly create: readonly Role[]
  readonly add: ReadonlyMap<Role, readonly Member[]>
  /** Members that are there and get another mark. */
  readonly replace: ReadonlyMap<Role, readonly Member[]>
  readonly remove: ReadonlyMap<Role, readonly Member[]>
  /** By name: these may be nobody's role any more. */
  readonly destroy: readonly string[]
}

export const noSetChanges = <Role extends string>(): SetChanges<Role> => ({
  ...{ create: [], add: new Map(), replace: new Map(), remove: new Map(), destroy: [] },
})

/** The part of a member that the kernel compares: without its mark, and without `nomatch`. */
export const memberKey = (member: Member): string => {
  const end = member.indexOf(' ')
  return end < 0 ? member : member.slice(0, end)
}

import type { Ipset, SetHeader, SetRef } from '../../kernel/ipset/ipset.ts'
import type { Member } from '../../kernel/ipset/member.ts'
import { serves } from '../../kernel/ipset/serves.ts'
import type { SetSchema } from './set-schema.ts'

export interface ObservedSet {
  readonly header: SetHeader
  /** Undefined for a set that is not what its name says. */
  readonly members: ReadonlySet<Member> | undefined
}

/** Every set with a name of ours. */
export const observeSets = async <Role extends string>(
  ipset: Ipset,
  { roles, ref, owns }: SetSchema<Role>,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, ObservedSet>> => {
  const refs = new Map(roles.map((role) => [ref(role).name, ref(role)]))
  const found = new Map<string, ObservedSet>()
  for (const header of await ipset.list(signal)) {
    const { name } = header
    const set = refs.get(name)
    if (set === undefined && !owns(name)) continue
    const fits = set !== undefined && serves(header, { ...set, maxElements: 0 })
    // Most sets of most nodes are empty, and each reading is a socket and a round trip.
    const members = async (of: SetRef) => new Set(header.entries === 0 ? [] : await ipset.members(of, signal))
    found.set(name, { header, members: fits ? await members(set) : undefined })
  }
  return found
}

import type { Ipset, SetHeader } from '../../kernel/ipset/ipset.ts'
import { IpsetError } from '../../kernel/ipset/ipset-error.ts'
import type { Member } from '../../kernel/ipset/member.ts'
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
    const fits =
      set !== undefined && header.type === set.type && (header.family === undefined || header.family === set.family)
    found.set(name, { header, members: fits ? await tryMembers(ipset, set, signal) : undefined })
  }
  return found
}

/** A set of the right type may still have been made with other options. */
const tryMembers = async (
  ipset: Ipset,
  set: Parameters<Ipset['members']>[0],
  signal: AbortSignal,
): Promise<ReadonlySet<Member> | undefined> => {
  try {
    return new Set(await ipset.members(set, signal))
  } catch (error) {
    if (error instanceof IpsetError && error.code === 'typeMismatch') return undefined
    throw error
  }
}

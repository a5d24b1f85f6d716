import type { Ipset, SetSpec } from '../kernel/ipset/ipset.ts'
import { IpsetError } from '../kernel/ipset/ipset-error.ts'
import { hasCapabilities } from '../kernel/iptables/program-failure.ts'

/** Begins as our sets do, so that clean-up finds what a sudden end leaves behind. */
const name = 'WEIR-4-PROBE'

export type SetKind = Pick<SetSpec, 'type' | 'marks'>

/** Why sets of all these kinds cannot be had; undefined when they can. Leaves nothing behind. */
export const setsObstacle = async (
  ipset: Ipset,
  kinds: readonly SetKind[],
  signal: AbortSignal,
): Promise<string | undefined> => {
  if (!(await hasCapabilities('sets'))) return 'CAP_NET_RAW is needed for rules that ask sets'
  const different = new Map(kinds.map(({ type, marks }) => [`${type} ${marks}`, marks ? { type, marks } : { type }]))
  try {
    for (const kind of different.values()) {
      await ipset.destroy(name, signal)
      await ipset.create({ name, ...kind, family: 'IPv4', maxElements: 1 }, signal)
    }
    await ipset.destroy(name, signal)
    return undefined
  } catch (error) {
    if (error instanceof IpsetError) return error.message
    throw error
  }
}

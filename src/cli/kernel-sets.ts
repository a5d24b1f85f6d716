import { type Ipset, setTypes } from '../kernel/ipset/ipset.ts'
import { IpsetError } from '../kernel/ipset/ipset-error.ts'
import { hasCapabilities } from '../kernel/iptables/program-failure.ts'

/** Begins as our sets do, so that clean-up finds what a sudden end leaves behind. */
const name = 'WEIR-4-PROBE'

/** Why sets of every type that rules need cannot be had; undefined when they can. Leaves nothing behind. */
export const setsObstacle = async (ipset: Ipset, signal: AbortSignal): Promise<string | undefined> => {
  if (!(await hasCapabilities('sets'))) return 'CAP_NET_RAW is needed for rules that ask sets'
  try {
    for (const type of setTypes) {
      await ipset.destroy(name, signal)
      await ipset.create({ name, type, family: 'IPv4', maxElements: 1 }, signal)
    }
    await ipset.destroy(name, signal)
    return undefined
  } catch (error) {
    if (error instanceof IpsetError) return error.message
    throw error
  }
}

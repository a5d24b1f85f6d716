import type { Ipset } from '../../kernel/ipset/ipset.ts'
import type { Family } from '../../model/ip.ts'
import { destroySet } from '../rules/set-store.ts'
import { iptablesLeftovers } from '../takeover/iptables-leftovers.ts'
import type { IptablesParts } from './backend.ts'
import { setNamePrefix } from './sets.ts'

/** Removes the chains, jumps and sets of this family and variant. What foreign rules lead to stays, and is no failure. */
export const removeRules = async (
  { iptables, ipset, family }: Pick<IptablesParts, 'iptables' | 'ipset' | 'family'>,
  signal: AbortSignal,
): Promise<void> => {
  const parts = await iptablesLeftovers(iptables, { remove: true, inUse: undefined }, signal)
  for (const { errors = [] } of parts) for (const error of errors) throw error
  if (ipset !== undefined) await removeSets(ipset, family, signal)
}

const removeSets = async (ipset: Ipset, family: Family, signal: AbortSignal): Promise<void> => {
  const headers = await ipset.list(signal)
  for (const { name } of headers) {
    if (name.startsWith(setNamePrefix(family))) await destroySet(ipset, name, signal)
  }
}

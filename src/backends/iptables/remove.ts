import { setTimeout as sleep } from 'node:timers/promises'
import type { Ipset } from '../../kernel/ipset/ipset.ts'
import { IpsetError } from '../../kernel/ipset/ipset-error.ts'
import type { Family } from '../../model/ip.ts'
import { iptablesLeftovers } from '../takeover/iptables-leftovers.ts'
import type { IptablesParts } from './backend.ts'
import { setNamePrefix } from './sets.ts'

/** Removes the chains, jumps and sets of this family and variant. What foreign rules lead to stays, and is no failure. */
export const removeRules = async (
  { iptables, ipset, family }: Pick<IptablesParts, 'iptables' | 'ipset' | 'family'>,
  signal: AbortSignal,
): Promise<void> => {
  const parts = await iptablesLeftovers(iptables, { remove: true, chains: 'all' }, signal)
  for (const { errors = [] } of parts) for (const error of errors) throw error
  if (ipset !== undefined) await removeSets(ipset, family, signal)
}

/** nf_tables gives up the references of deleted rules in the background, some time after the commit. */
const settleMs = 2_000
const settleStepMs = 50

const removeSets = async (ipset: Ipset, family: Family, signal: AbortSignal): Promise<void> => {
  const headers = await ipset.list(signal)
  for (const { name } of headers) {
    if (name.startsWith(setNamePrefix(family))) await destroy(ipset, name, signal)
  }
}

const destroy = async (ipset: Ipset, name: string, signal: AbortSignal): Promise<void> => {
  for (let waited = 0; ; waited += settleStepMs) {
    try {
      await ipset.destroy(name, signal)
      return
    } catch (error) {
      if (!(error instanceof IpsetError) || error.code !== 'busy' || waited >= settleMs) throw error
      await sleep(settleStepMs, undefined, { signal })
    }
  }
}

import { ruleTables } from '../rules/rule-table.ts'
import { winner } from './claims.ts'
import type { Belief } from './plan.ts'
import { ipvsDevice } from './settings.ts'

export interface Counted {
  readonly belief: Pick<Belief, 'rules' | 'claims' | 'addresses'> | undefined
  /** Members by name of the set. */
  readonly sets: Iterable<readonly [string, number]>
  readonly draining: number
}

const nothing: Counted['belief'] = { rules: { mangle: 0, filter: 0, nat: 0 }, claims: new Map(), addresses: new Map() }

/** Rules by table, members by set, servers, and addresses of kube-ipvs0. Those that drain are none of the real servers. */
export const countAll = ({ belief = nothing, sets, draining }: Counted): ReadonlyMap<string, number> => {
  const counts = new Map<string, number>()
  for (const table of ruleTables) counts.set(table, belief.rules[table])
  for (const [name, entries] of sets) counts.set(name, entries)
  let realServers = 0
  for (const list of belief.claims.values()) realServers += winner(list)?.realServers.length ?? 0
  counts.set('virtual-servers', belief.claims.size)
  counts.set('real-servers', realServers)
  counts.set('draining-real-servers', draining)
  return counts.set(ipvsDevice, belief.addresses.size)
}

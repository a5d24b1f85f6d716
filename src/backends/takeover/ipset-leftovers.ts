import { setTimeout as sleep } from 'node:timers/promises'
import type { Ipset, SetHeader } from '../../kernel/ipset/ipset.ts'
import { type Family, families } from '../../model/ip.ts'
import { setSchema as iptablesSets } from '../iptables/sets.ts'
import { setSchema as ipvsSets } from '../ipvs/schema.ts'
import type { ChainMode } from '../kube-chains.ts'
import type { SetSchema } from '../rules/set-schema.ts'
import { type Part, TakeoverError } from './report.ts'

const namesOf = <Role extends string>({ roles, ref, spare }: SetSchema<Role>): ReadonlySet<string> =>
  new Set([...roles.map((role) => ref(role).name), spare])

const names: Readonly<Record<ChainMode, Readonly<Record<Family, ReadonlySet<string>>>>> = {
  iptables: { IPv4: namesOf(iptablesSets('IPv4')), IPv6: namesOf(iptablesSets('IPv6')) },
  // Most of them are kube-proxy's.
  ipvs: { IPv4: namesOf(ipvsSets('IPv4')), IPv6: namesOf(ipvsSets('IPv6')) },
}

/** kube-proxy's, or ours in any mode. */
export const isOurSet = (name: string): boolean =>
  families.some((family) => iptablesSets(family).owns(name) || names.ipvs[family].has(name))

/** nf_tables gives up the references of deleted rules in the background, some time after the commit. */
const settleMs = 2_000
const settleStepMs = 50

export interface IpsetOptions {
  readonly remove: boolean
  /** Rules were removed just now, so that references may be on their way out. */
  readonly settle: boolean
  /** The sets of this mode and these families are in use, and none of this one's business. */
  readonly inUse: { readonly mode: ChainMode; readonly families: readonly Family[] } | undefined
}

/** Whether a mode may have a set of that name. In mode iptables it may be one that earlier versions had. */
const belongs = (name: string, mode: ChainMode, family: Family): boolean =>
  names[mode][family].has(name) ||
  (mode === 'iptables' && iptablesSets(family).owns(name) && !names.ipvs[family].has(name))

/** kube-proxy's sets and ours, but for those that are in use. */
export const ipsetLeftovers = async (
  ipset: Ipset,
  { remove, settle, inUse }: IpsetOptions,
  signal: AbortSignal,
): Promise<Part[]> => {
  const stays = (name: string): boolean => inUse?.families.some((family) => belongs(name, inUse.mode, family)) ?? false
  const findSets = async (): Promise<readonly SetHeader[]> =>
    (await ipset.list(signal)).filter(({ name }) => isOurSet(name) && !stays(name))
  try {
    let found = await findSets()
    if (!remove) return [{ counts: { sets: found.length } }]
    for (let waited = settle ? 0 : settleMs; waited < settleMs && found.some(isUsed); waited += settleStepMs) {
      await sleep(settleStepMs, undefined, { signal })
      found = await findSets()
    }
    const parts: Part[] = []
    for (const set of found) parts.push(isUsed(set) ? kept(set) : await destroy(ipset, set, signal))
    return parts
  } catch (error) {
    signal.throwIfAborted()
    return [{ errors: [new TakeoverError('ipset', 'list sets', error)] }]
  }
}

const isUsed = ({ references }: SetHeader): boolean => references > 0

const kept = ({ name, references }: SetHeader): Part => ({
  left: [
    { area: 'ipset', what: name, why: `still in use, ${references} ${references === 1 ? 'reference' : 'references'}` },
  ],
})

const destroy = async (ipset: Ipset, set: SetHeader, signal: AbortSignal): Promise<Part> => {
  try {
    await ipset.destroy(set.name, signal)
    return { counts: { sets: 1 } }
  } catch (error) {
    signal.throwIfAborted()
    return { errors: [new TakeoverError('ipset', `destroy ${set.name}`, error)] }
  }
}

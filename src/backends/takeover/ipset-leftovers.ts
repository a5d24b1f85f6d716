import { setTimeout as sleep } from 'node:timers/promises'
import type { Ipset, SetHeader } from '../../kernel/ipset/ipset.ts'
import { type Family, families } from '../../model/ip.ts'
import { setNamePrefix } from '../iptables/sets.ts'
import { type Part, TakeoverError } from './report.ts'

/** IPSET_MAXNAMELEN of linux/netfilter/ipset/ip_set.h, without the final zero. */
const maxSetName = 31

const ipv4Names = [
  'KUBE-LOOP-BACK',
  'KUBE-CLUSTER-IP',
  'KUBE-EXTERNAL-IP',
  'KUBE-EXTERNAL-IP-LOCAL',
  'KUBE-LOAD-BALANCER',
  'KUBE-LOAD-BALANCER-LOCAL',
  'KUBE-LOAD-BALANCER-FW',
  'KUBE-LOAD-BALANCER-SOURCE-CIDR',
  'KUBE-LOAD-BALANCER-SOURCE-IP',
  'KUBE-NODE-PORT-TCP',
  'KUBE-NODE-PORT-UDP',
  'KUBE-NODE-PORT-LOCAL-TCP',
  'KUBE-NODE-PORT-LOCAL-UDP',
  'KUBE-NODE-PORT-SCTP-HASH',
  'KUBE-NODE-PORT-LOCAL-SCTP-HASH',
  'KUBE-HEALTH-CHECK-NODE-PORT',
  'KUBE-IPVS-IPS',
] as const

/** kube-proxy's sets of both families, as the kernel knows them. */
export const kubeProxySets: ReadonlySet<string> = new Set(
  ipv4Names.flatMap((name) => [name, name.replace('KUBE-', 'KUBE-6-').slice(0, maxSetName)]),
)

/** nf_tables gives up the references of deleted rules in the background, some time after the commit. */
const settleMs = 2_000
const settleStepMs = 50

export interface IpsetOptions {
  readonly remove: boolean
  /** Rules were removed just now, so that references may be on their way out. */
  readonly settle: boolean
  /** Our own sets of these families are in use, and none of this one's business. */
  readonly inUse: readonly Family[]
}

/** kube-proxy's sets, and ours that are not in use. */
export const ipsetLeftovers = async (
  ipset: Ipset,
  { remove, settle, inUse }: IpsetOptions,
  signal: AbortSignal,
): Promise<Part[]> => {
  const ours = families.filter((family) => !inUse.includes(family)).map(setNamePrefix)
  const findSets = async (): Promise<readonly SetHeader[]> =>
    (await ipset.list(signal)).filter(
      ({ name }) => kubeProxySets.has(name) || ours.some((prefix) => name.startsWith(prefix)),
    )
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

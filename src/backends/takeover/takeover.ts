import { type Run, run as realRun } from '../../kernel/exec/run.ts'
import type { Ipset } from '../../kernel/ipset/ipset.ts'
import { openIpset } from '../../kernel/ipset/netlink-ipset.ts'
import { type Iptables, type Variant, variants } from '../../kernel/iptables/iptables.ts'
import { IptablesClient, type IptablesClientOptions } from '../../kernel/iptables/iptables-client.ts'
import type { Ipvs } from '../../kernel/ipvs/ipvs.ts'
import { openIpvs } from '../../kernel/ipvs/netlink-ipvs.ts'
import type { Route } from '../../kernel/route/interface-address.ts'
import { NetlinkRoute } from '../../kernel/route/netlink-route.ts'
import { type Family, families } from '../../model/ip.ts'
import type { ChainMode } from '../kube-chains.ts'
import { ipsetLeftovers } from './ipset-leftovers.ts'
import { iptablesLeftovers } from './iptables-leftovers.ts'
import { ipvsLeftovers } from './ipvs-leftovers.ts'
import { nftLeftovers } from './nft-leftovers.ts'
import { type Area, areas, type LeftBehind, mergeParts, type Part, type TakeoverReport, variantArea } from './report.ts'

/** The parts of the kernel that kube-proxy writes to. */
export interface TakeoverKernel {
  readonly run: Run
  /** Every variant and family. */
  readonly iptables: readonly Iptables[]
  readonly ipset: Ipset
  readonly ipvs: Ipvs
  readonly route: Route
  /** Gives back what is open. Called after every search; another one opens again what it needs. */
  close(): void
}

export interface TakeoverOptions {
  readonly kernel?: TakeoverKernel
  /** Where to look; everywhere without it. */
  readonly only?: readonly Area[]
  /** What mode iptables or ipvs programs itself, and so stays. */
  readonly inUse?: InUse
}

export interface InUse {
  readonly mode: ChainMode
  readonly variant: Variant
  /** Whose chains, ipsets and virtual servers they are. */
  readonly families: readonly Family[]
}

/** The node that this process runs on. */
export const nodeKernel = ({ run = realRun, ...options }: IptablesClientOptions = {}): TakeoverKernel => {
  const ipset = openIpset()
  const ipvs = openIpvs()
  return {
    run,
    iptables: variants.flatMap((variant) =>
      families.map((family) => new IptablesClient(variant, family, { run, ...options })),
    ),
    ipset,
    ipvs,
    route: new NetlinkRoute(),
    close: () => {
      ipset.close()
      ipvs.close()
    },
  }
}

/**
 * What kube-proxy in any of its modes, or we in modes iptables and ipvs, have left in the kernel. Changes nothing. Rejects only
 * when aborted.
 */
export const findLeftovers = (signal: AbortSignal, options: TakeoverOptions = {}): Promise<TakeoverReport> =>
  takeOver(false, signal, options)

/**
 * Removes what {@link findLeftovers} finds, and nothing else: foreign chains, rules, sets, tables and virtual
 * servers stay, and so do kubelet's. May be called again at any time. Rejects only when aborted.
 */
export const removeLeftovers = (signal: AbortSignal, options: TakeoverOptions = {}): Promise<TakeoverReport> =>
  takeOver(true, signal, options)

const takeOver = async (remove: boolean, signal: AbortSignal, options: TakeoverOptions): Promise<TakeoverReport> => {
  signal.throwIfAborted()
  const { kernel = nodeKernel() } = options
  try {
    return mergeParts(await search(kernel, remove, signal, options))
  } finally {
    kernel.close()
  }
}

const search = async (
  kernel: TakeoverKernel,
  remove: boolean,
  signal: AbortSignal,
  { only = areas, inUse }: TakeoverOptions,
): Promise<readonly Part[]> => {
  const { run, iptables, ipset } = kernel
  const parts: Part[] = []
  if (only.includes('nftables')) parts.push(...(await nftLeftovers(run, remove, signal)))
  let chains = 0
  for (const client of iptables)
    if (only.includes(variantArea(client.variant))) {
      const isInUse = client.variant === inUse?.variant && inUse.families.includes(client.family)
      const found = await iptablesLeftovers(client, { remove, inUse: isInUse ? inUse.mode : undefined }, signal)
      for (const { counts } of found) chains += counts?.chains ?? 0
      parts.push(...found)
    }
  let mayForget = true
  if (only.includes('ipvs')) {
    const found = await ipvsLeftovers(kernel, { remove, inUse: inUse?.mode === 'ipvs' ? inUse.families : [] }, signal)
    mayForget = found.every(({ errors }) => errors === undefined)
    parts.push(...found)
  }
  // Members of the sets are all that tells whose the virtual servers are.
  if (remove && !mayForget && only.includes('ipset')) return [...parts, { left: [keptSets] }]
  // Last, because the rules hold the sets. Where we write rules, they may just have taken the place of such.
  const settle = chains > 0 || inUse !== undefined
  const sets = { remove, settle, inUse }
  if (only.includes('ipset')) parts.push(...(await ipsetLeftovers(ipset, sets, signal)))
  return parts
}

const keptSets: LeftBehind = {
  area: 'ipset',
  what: 'every set',
  why: 'virtual servers that they are about could not be removed',
}

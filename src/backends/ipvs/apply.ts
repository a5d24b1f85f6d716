import type { TableChange } from '../../kernel/iptables/restore-builder.ts'
import type { RulesetWatch } from '../../kernel/iptables/ruleset-watch.ts'
import type { VirtualServer } from '../../kernel/ipvs/ipvs.ts'
import { KernelError } from '../../kernel/netlink/error.ts'
import type { Family, IP } from '../../model/ip.ts'
import type { ServiceKey } from '../../model/names.ts'
import type { SetStore } from '../rules/set-store.ts'
import { IpvsBackendError, type Rejection } from './error.ts'
import { markOf } from './marks-in-use.ts'
import type { IpvsKernel } from './observe.ts'
import type { IpvsPlan } from './plan.ts'
import type { TaggedChange } from './server-diff.ts'
import type { SetRole } from './sets.ts'
import { ipvsDevice } from './settings.ts'
import { type Written, writeServers } from './write-servers.ts'

export interface WriterParts extends IpvsKernel {
  readonly family: Family
  readonly watch: RulesetWatch
  readonly sets: SetStore<SetRole>
  readonly withDefault: (server: VirtualServer) => VirtualServer
  /** Addresses of kube-ipvs0 whose loss would be news. */
  readonly bound: Set<IP>
}

/** About so many bytes have a rule. */
const ruleBytes = 128

/**
 * Writes a plan. Sets come first and go last, because they say whose virtual servers and addresses these are: whoever finds
 * the node in the middle of it finds nothing without an owner. An address comes before its virtual server, which packets
 * cannot reach otherwise, and goes after it.
 */
export const writePlan = async (parts: WriterParts, plan: IpvsPlan, signal: AbortSignal): Promise<Written> => {
  const { ipvs, sets, withDefault } = parts
  const { early, rest } = inTwo(plan)
  const first = await writeServers(ipvs, early, withDefault, signal)
  await restore(parts, plan.detach, signal)
  try {
    await sets.prepare(plan.sets, signal, { settle: plan.detach.length > 0 })
  } catch (error) {
    // A delta is taken back, a full change is not: what is compared before it is written needs no undoing.
    if (plan.outcome.kind === 'absorb') await sets.takeBack(plan.sets, signal)
    throw error
  }
  await restore(parts, plan.tables, signal)
  if (plan.device) await makeDevice(parts, signal)
  const unbound = await addAddresses(parts, plan.addresses.add, signal)
  const written = await writeServers(ipvs, rest, withDefault, signal)
  const kept = await removeAddresses(parts, plan.addresses.remove, signal)
  await sets.finish(plan.sets, signal)
  if (written.takenMarks.size > 0) await sets.takeBack({ add: withMarks(plan.sets, written.takenMarks) }, signal)
  return {
    ...written,
    rejections: [...first.rejections, ...unbound, ...written.rejections, ...kept],
    failure: first.failure ?? written.failure,
  }
}

/** Members that have just got one of these marks: they would say that somebody else's virtual servers are ours. */
const withMarks = ({ add }: IpvsPlan['sets'], marks: ReadonlySet<number>): IpvsPlan['sets']['add'] => {
  const members = (add.get('INSIDE') ?? []).filter((member) => marks.has(markOf(member) ?? 0))
  return new Map(members.length > 0 ? [['INSIDE', members]] : [])
}

/** Virtual servers for marks go before their mark is taken from an address, which is all that says that they are ours. */
const inTwo = ({ servers, sets }: IpvsPlan): Record<'early' | 'rest', readonly TaggedChange[]> => {
  const isEarly = ({ change }: TaggedChange): boolean =>
    sets.replace.size > 0 && change.kind === 'deleteVirtualServer' && change.id.kind === 'mark'
  return { early: servers.filter(isEarly), rest: servers.filter((each) => !isEarly(each)) }
}

const restore = async (
  { iptables, watch, family }: WriterParts,
  tables: readonly TableChange[],
  signal: AbortSignal,
): Promise<void> => {
  if (tables.length === 0) return
  const bytes = tables.reduce((sum, { statements }) => sum + statements.length, 0) * ruleBytes
  await watch.write(family, bytes, () => iptables.restore(tables, signal), signal)
}

/** @throws IpvsBackendError `device` */
const makeDevice = async ({ route }: WriterParts, signal: AbortSignal): Promise<void> => {
  const op = `make ${ipvsDevice}`
  try {
    await route.ensureDummy(ipvsDevice, signal)
  } catch (cause) {
    if (!(cause instanceof KernelError)) throw cause
    throw new IpvsBackendError({ code: 'device', op, reason: cause.message, cause })
  }
}

const addAddresses = async (
  parts: WriterParts,
  add: ReadonlyMap<IP, ServiceKey>,
  signal: AbortSignal,
): Promise<readonly Rejection[]> => {
  if (add.size === 0) return []
  const ips = [...add.keys()]
  const refusals = await change(parts, { add: ips, remove: [], purpose: 'destination' }, signal)
  const refused = new Set(refusals.map(({ ip }) => ip))
  for (const ip of ips) if (!refused.has(ip)) parts.bound.add(ip)
  return refusals.map(({ ip, error }) => ({ tag: add.get(ip), op: `add addresses to ${ipvsDevice}`, error }))
}

const removeAddresses = async (
  parts: WriterParts,
  remove: readonly IP[],
  signal: AbortSignal,
): Promise<readonly Rejection[]> => {
  if (remove.length === 0) return []
  for (const ip of remove) parts.bound.delete(ip)
  const refusals = await change(parts, { add: [], remove }, signal)
  return refusals.map(({ error }) => ({ tag: undefined, op: `remove addresses from ${ipvsDevice}`, error }))
}

const change = async (
  { route }: WriterParts,
  addresses: Parameters<IpvsKernel['route']['changeAddresses']>[1],
  signal: AbortSignal,
) => {
  try {
    return await route.changeAddresses(ipvsDevice, addresses, signal)
  } catch (cause) {
    if (!(cause instanceof KernelError) || cause.code !== 'notFound') throw cause
    throw new IpvsBackendError({ code: 'stale', op: `change addresses of ${ipvsDevice}`, reason: cause.message, cause })
  }
}

import type { Ipset } from '../../kernel/ipset/ipset.ts'
import type { Ipvs, ObservedRealServer, RealServer } from '../../kernel/ipvs/ipvs.ts'
import { virtualServerName } from '../../kernel/ipvs/names.ts'
import type { SetSchema } from '../rules/set-schema.ts'
import { winner } from './claims.ts'
import type { DrainLedger } from './drain-ledger.ts'
import type { Belief } from './plan.ts'
import { realServerName, sameRealServer, sameServer, type WantedServer } from './server-diff.ts'
import type { SetRole } from './sets.ts'

export interface Believed {
  readonly belief: Pick<Belief, 'claims' | 'elements'>
  readonly draining: Pick<DrainLedger, 'of'>
  readonly asAvailable: (wanted: WantedServer) => WantedServer
}

/** Whether every virtual server is there as it should be. One request; says nothing about real servers. */
export const virtualServersHold = async (
  ipvs: Ipvs,
  { belief: { claims }, asAvailable }: Believed,
  signal: AbortSignal,
): Promise<boolean> => {
  const there = new Map((await ipvs.virtualServers(signal)).map((server) => [virtualServerName(server.id), server]))
  for (const [name, list] of claims) {
    const wanted = winner(list)
    const found = there.get(name)
    if (wanted === undefined) continue
    if (found === undefined || !sameServer(found, asAvailable(wanted).server)) return false
  }
  return true
}

/** Whether these virtual servers have the real servers that they should have, and no others. A request for each. */
export const realServersHold = async (
  ipvs: Ipvs,
  names: Iterable<string>,
  { belief: { claims }, draining }: Believed,
  signal: AbortSignal,
): Promise<boolean> => {
  for (const name of names) {
    const wanted = winner(claims.get(name))
    if (wanted === undefined) continue
    const found = await ipvs.realServers(wanted.server.id, signal)
    if (!areAsWanted(found, wanted.realServers, draining.of(name))) return false
  }
  return true
}

/** One that drains may have gone before its time: then there is nothing left to do. */
const areAsWanted = (
  found: readonly ObservedRealServer[],
  wanted: readonly RealServer[],
  draining: readonly RealServer[],
): boolean => {
  const left = new Map(found.map((server) => [realServerName(server), server]))
  const take = (name: string): ObservedRealServer | undefined => {
    const server = left.get(name)
    left.delete(name)
    return server
  }
  for (const server of wanted) {
    const there = take(realServerName(server))
    if (there === undefined || !sameRealServer(there, server)) return false
  }
  for (const server of draining) if ((take(realServerName(server))?.weight ?? 0) > 0) return false
  return left.size === 0
}

/** Whether the sets that are `kept` (by name) have the members that they should have, and no others. Reads them all. */
export const membersHold = async (
  ipset: Ipset,
  { roles, ref }: SetSchema<SetRole>,
  { belief: { elements }, kept }: Pick<Believed, 'belief'> & { readonly kept: ReadonlySet<string> },
  signal: AbortSignal,
): Promise<boolean> => {
  const wanted = new Map<SetRole, Set<string>>(roles.map((role) => [role, new Set()]))
  for (const { element, uses } of elements.values()) if (uses > 0) wanted.get(element.set)?.add(element.member)
  for (const [role, members] of wanted) {
    if (!kept.has(ref(role).name)) continue
    const found = await ipset.members(ref(role), signal)
    if (found.length !== members.size || !found.every((member) => members.has(member))) return false
  }
  return true
}

import { isDeepStrictEqual } from 'node:util'
import type { ServiceState } from '../../model/desired.ts'
import type { HostState } from '../../model/host.ts'
import type { IP } from '../../model/ip.ts'
import type { ServiceKey, ServicePortId } from '../../model/names.ts'
import { ElementDelta } from '../rules/element-delta.ts'
import { fixedRules, planFixed } from '../rules/plan-fixed.ts'
import { ruleTables } from '../rules/rule-table.ts'
import { TableWriter } from '../rules/table-writer.ts'
import { ClaimDelta, winner } from './claims.ts'
import type { DrainLedger } from './drain-ledger.ts'
import { fixedLayout } from './fixed.ts'
import { layoutService } from './layout.ts'
import { freeMarks } from './marks.ts'
import type { Belief, IpvsPlan, Laid } from './plan.ts'
import { isExcluded, type PlanContext } from './plan-full.ts'
import { summarize } from './plan-summary.ts'
import { type FoundServer, ServerDiff, type WantedServer } from './server-diff.ts'
import { elementsOf } from './service-elements.ts'
import { orderSets } from './set-order.ts'

/**
 * From what was last applied to these service ports as they are now (undefined: gone). The cost follows the change, but for
 * changes of the node.
 */
export const planDelta = (
  host: HostState,
  changed: ReadonlyMap<ServicePortId, ServiceState | undefined>,
  belief: Belief,
  draining: Pick<DrainLedger, 'of'>,
  { settings, asAvailable }: PlanContext,
): IpvsPlan => {
  const hostChanged = belief.host !== host && !isDeepStrictEqual(belief.host, host)
  const states = new Map(changed)
  if (hostChanged) for (const [id, { state }] of belief.services) if (!states.has(id)) states.set(id, state)

  const services = new Map<ServicePortId, Laid | undefined>()
  const claims = new ClaimDelta(belief.claims)
  const elements = new ElementDelta(belief.elements)
  const addresses = new Map<IP, number>()
  const count = (ip: IP, change: 1 | -1): void =>
    void addresses.set(ip, (addresses.get(ip) ?? belief.addresses.get(ip) ?? 0) + change)
  const marks = new MarkDelta(belief.marks, host)
  const owners = new Map<IP, ServiceKey>()
  // What goes is counted first, so that what two of them want is never lost.
  for (const id of states.keys()) {
    const before = belief.services.get(id)
    if (before === undefined) continue
    claims.remove(before)
    for (const element of elementsOf(before)) elements.count(element, -1)
    for (const ip of before.layout.addresses) count(ip, -1)
  }
  for (const [id, state] of states) {
    const before = belief.services.get(id)
    const layout = state === undefined ? undefined : layoutService(state, host, settings)
    const mark = marks.next(before?.mark, layout?.inside !== undefined)
    const laid = state === undefined || layout === undefined ? undefined : { state, layout, mark }
    services.set(id, laid)
    if (laid === undefined) continue
    claims.add(laid)
    for (const element of elementsOf(laid)) elements.count(element, 1)
    for (const ip of laid.layout.addresses) {
      count(ip, 1)
      owners.set(ip, laid.state.service)
    }
  }

  const servers = new ServerDiff()
  for (const [name, list] of claims.changed) {
    const before = winner(belief.claims.get(name))
    const wanted = winner(list)
    const had = before === undefined ? undefined : asFound(asAvailable(before), draining.of(name))
    if (wanted !== undefined) servers.put(had, asAvailable(wanted))
    else if (before !== undefined && !isExcluded(before.server.id, settings))
      servers.delete(before.server.id, before.tag)
  }

  const fixed = hostChanged ? fixedLayout(host, settings) : belief.fixed
  const rules = { ...belief.rules }
  const writers = ruleTables.map((table) => new TableWriter(table))
  for (const writer of writers)
    rules[writer.table] += planFixed(belief.fixed[writer.table], fixed[writer.table], (chain) =>
      writer.chain(chain.name, fixedRules(chain)),
    )
  const add = new Map<IP, ServiceKey>()
  const remove: IP[] = []
  for (const [ip, uses] of addresses) {
    const had = belief.addresses.has(ip)
    const owner = owners.get(ip)
    if (uses > 0 && !had && owner !== undefined) add.set(ip, owner)
    if (uses === 0 && had) remove.push(ip)
  }
  return summarize({
    ...{ detach: [], device: false, writers, servers, addresses: { add, remove } },
    sets: orderSets(elements.changes()),
    structure: hostChanged,
    outcome: {
      kind: 'absorb',
      delta: {
        ...{ host, fixed, services, claims: claims.changed, addresses, elements: elements.uses, marks, rules },
      },
    },
  })
}

const asFound = ({ server, realServers }: WantedServer, draining: FoundServer['realServers']): FoundServer => ({
  server,
  realServers: [...realServers, ...draining],
})

/** Marks that are given, and given back. */
class MarkDelta {
  readonly taken: number[] = []
  readonly freed: number[] = []
  readonly #free: Iterator<number, never>

  constructor(before: ReadonlySet<number>, { masqueradeMark }: HostState) {
    this.#free = freeMarks(masqueradeMark, before)
  }

  /** Those that are given back are given to nobody yet: a virtual server is made before others are deleted. */
  next(before: number | undefined, wanted: boolean): number | undefined {
    if (!wanted) {
      if (before !== undefined) this.freed.push(before)
      return undefined
    }
    if (before !== undefined) return before
    const mark = this.#free.next().value
    this.taken.push(mark)
    return mark
  }
}

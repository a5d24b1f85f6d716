import { cidrContains } from '../../model/cidr.ts'
import type { ServiceState } from '../../model/desired.ts'
import type { HostState } from '../../model/host.ts'
import type { IP } from '../../model/ip.ts'
import type { ServiceKey, ServicePortId } from '../../model/names.ts'
import { ElementDelta } from '../rules/element-delta.ts'
import type { FixedTable } from '../rules/fixed-layout.ts'
import { type RuleTable, ruleTables } from '../rules/rule-table.ts'
import { setChanges } from '../rules/set-changes.ts'
import { TableDiff } from '../rules/table-diff.ts'
import { ClaimDelta, winner } from './claims.ts'
import { detachSets } from './detach.ts'
import { fixedLayout } from './fixed.ts'
import { layoutService } from './layout.ts'
import { assignMarks } from './marks-in-use.ts'
import type { ObservedIpvs } from './observe.ts'
import type { IpvsPlan, Laid } from './plan.ts'
import { summarize } from './plan-summary.ts'
import { setSchema } from './schema.ts'
import { ServerDiff, type WantedServer } from './server-diff.ts'
import { elementsOf } from './service-elements.ts'
import { orderSets } from './set-order.ts'
import type { SetRole } from './sets.ts'
import type { IpvsSettings } from './settings.ts'

export interface PlanContext {
  readonly settings: IpvsSettings
  /** The one that takes a scheduler's place where the kernel lacks it. */
  readonly asAvailable: (wanted: WantedServer) => WantedServer
}

/** From whatever was found to what is wanted. What is right already is not written. */
export const planFull = (
  host: HostState,
  states: Iterable<ServiceState>,
  found: ObservedIpvs,
  { settings, asAvailable }: PlanContext,
): IpvsPlan => {
  const schema = setSchema(settings.family)
  const layouts = [...states].map((state) => ({ state, layout: layoutService(state, host, settings) }))
  const { marks, taken } = assignMarks(layouts, found, host, schema)
  const services = new Map<ServicePortId, Laid>()
  const claims = new ClaimDelta(new Map())
  const elements = new ElementDelta<SetRole>(new Map())
  const addresses = new Map<IP, number>()
  const owners = new Map<IP, ServiceKey>()
  for (const each of layouts) {
    const { state, layout } = each
    const laid: Laid = { ...each, mark: marks.get(state.id) }
    services.set(state.id, laid)
    claims.add(laid)
    for (const element of elementsOf(laid)) elements.count(element, 1)
    for (const ip of layout.addresses) {
      addresses.set(ip, (addresses.get(ip) ?? 0) + 1)
      owners.set(ip, state.service)
    }
  }

  const servers = new ServerDiff()
  for (const [name, list] of claims.changed) {
    const wanted = winner(list)
    if (wanted !== undefined) servers.put(found.servers.get(name), asAvailable(wanted))
  }
  for (const [name, { server }] of found.servers)
    if (!claims.changed.has(name) && found.isOurs(server.id) && !isExcluded(server.id, settings))
      servers.delete(server.id, undefined)

  const fixed = fixedLayout(host, settings)
  const detached = detachSets(found, schema)
  const diffs = ruleTables.map((table) => compareTable(table, fixed[table], detached.tables.get(table), settings))
  const rules = { mangle: 0, filter: 0, nat: 0 }
  for (const { writer, rules: count } of diffs) rules[writer.table] = count

  const there = new Set(found.addresses)
  return summarize({
    detach: detached.changes,
    sets: orderSets(setChanges(elements, found.sets, schema)),
    writers: diffs.map(({ writer }) => writer),
    device: !found.device,
    addresses: {
      add: new Map([...owners].filter(([ip]) => !there.has(ip))),
      remove: found.ownAddresses.filter((ip) => !addresses.has(ip)),
    },
    servers,
    structure: true,
    outcome: {
      kind: 'replace',
      belief: {
        ...{ host, fixed, services, claims: claims.changed, addresses },
        ...{ elements: elements.uses, marks: taken, rules },
      },
    },
  })
}

const compareTable = (
  table: RuleTable,
  { chains, hooks }: FixedTable,
  found: ConstructorParameters<typeof TableDiff>[1],
  { family }: IpvsSettings,
): TableDiff => {
  const diff = new TableDiff(table, found, family)
  for (const { name, head, tail, shared } of chains) {
    if (shared) diff.shared(name)
    else diff.chain(name, [...head, ...tail])
  }
  diff.hooks(hooks)
  diff.dropUnwanted()
  return diff
}

/** Virtual servers in these networks are never deleted, whoever made them. Those for marks are in none. */
export const isExcluded = (id: WantedServer['server']['id'], { excludeCidrs }: IpvsSettings): boolean =>
  id.kind === 'address' && excludeCidrs.some((cidr) => cidrContains(cidr, id.ip))

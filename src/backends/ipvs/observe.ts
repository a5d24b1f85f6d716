import type { Ipset } from '../../kernel/ipset/ipset.ts'
import type { Iptables } from '../../kernel/iptables/iptables.ts'
import type { TableName } from '../../kernel/iptables/table-name.ts'
import { familyOfServer, type Ipvs, type VirtualServerId } from '../../kernel/ipvs/ipvs.ts'
import { virtualServerName } from '../../kernel/ipvs/names.ts'
import type { InterfaceAddress, Route } from '../../kernel/route/interface-address.ts'
import { type Family, type IP, isFamily } from '../../model/ip.ts'
import type { Observed } from '../backend.ts'
import { type OwnershipFacts, ownershipRoles, ownVirtualServers } from '../own-virtual-servers.ts'
import { type ObservedSet, observeSets } from '../rules/observed-sets.ts'
import { countRules, type ObservedTable, observeTable } from '../rules/observed-table.ts'
import { fixedChainNames } from './fixed-names.ts'
import { setSchema } from './schema.ts'
import type { FoundServer } from './server-diff.ts'
import { setName } from './sets.ts'
import { ipvsDevice } from './settings.ts'

/** Everything that a family's virtual servers consist of, as found. */
export interface ObservedIpvs extends Observed {
  readonly kind: 'ipvs'
  readonly tables: ReadonlyMap<TableName, ObservedTable>
  readonly sets: ReadonlyMap<string, ObservedSet>
  /** kube-ipvs0 is there, and up. */
  readonly device: boolean
  /** Addresses of kube-ipvs0. */
  readonly addresses: readonly IP[]
  /** Those that we have put there; what somebody else has is in no set. */
  readonly ownAddresses: readonly IP[]
  /** Of this family, by name; foreign ones too. */
  readonly servers: ReadonlyMap<string, FoundServer>
  readonly isOurs: (id: VirtualServerId) => boolean
}

export interface IpvsKernel {
  readonly ipvs: Ipvs
  readonly route: Route
  readonly ipset: Ipset
  readonly iptables: Iptables
}

export interface ObserveOptions {
  /** IPVS may be loaded for it. */
  readonly load?: boolean
  /** Where NodePorts have been, besides the addresses that the node has now. */
  readonly formerAddresses?: Iterable<IP>
}

export const observeIpvs = async (
  { ipvs, route, ipset, iptables }: IpvsKernel,
  family: Family,
  signal: AbortSignal,
  { load = true, formerAddresses = [] }: ObserveOptions = {},
): Promise<ObservedIpvs> => {
  const saved = await iptables.save(signal)
  const tables = new Map(saved.tables.map((table) => [table.name, observeTable(table, fixedChainNames)]))
  const sets = await observeSets(ipset, setSchema(family), signal)
  const link = await route.findLink(ipvsDevice, signal)
  const all = (await route.listAddresses(signal)).filter(({ ip }) => isFamily(ip, family))
  const addresses = all.filter(onDevice).map(({ ip }) => ip)
  const bound: ReadonlySet<string> = sets.get(setName('IPVS-IPS', family))?.members ?? new Set<string>()
  // The device is kube-proxy's until we have written, and what is there its own; not every version has a set of it.
  const isFirst = !sets.has(setName('NODE-PORT', family))
  const ownAddresses = all
    .filter(onDevice)
    .flatMap(({ ip, scope }) => (bound.has(ip) || (isFirst && scope !== 'link') ? [ip] : []))
  const servers =
    load || (await ipvs.loaded(signal)) ? await observeServers(ipvs, family, signal) : new Map<string, FoundServer>()
  const members: OwnershipFacts['members'] = new Map(
    ownershipRoles.flatMap((role) => {
      const found = sets.get(setName(role, family))?.members
      return found === undefined ? [] : [[role, found]]
    }),
  )
  const localAddresses = [...all.map(({ ip }) => ip), ...formerAddresses]
  const isOurs = ownVirtualServers(family, { members, deviceAddresses: addresses, localAddresses })

  const counts = new Map<string, number>()
  for (const [name, table] of tables) counts.set(name, countRules(table, fixedChainNames))
  for (const [name, { header }] of sets) counts.set(name, header.entries)
  counts.set('virtual-servers', [...servers.values()].filter(({ server }) => isOurs(server.id)).length)
  const device = link?.kind === 'dummy' && link.up
  return { kind: 'ipvs', tables, sets, device, addresses, ownAddresses, servers, isOurs, counts }
}

const onDevice = (address: InterfaceAddress): boolean => address.interface === ipvsDevice

export const asObservedIpvs = (observed: Observed | undefined): ObservedIpvs => {
  if (observed !== undefined && 'kind' in observed && observed.kind === 'ipvs') return observed as ObservedIpvs
  throw new TypeError('a full change needs what this backend has observed')
}

/** Foreign ones are read too: a Service may want the address of one. */
const observeServers = async (
  ipvs: Ipvs,
  family: Family,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, FoundServer>> => {
  const found = new Map<string, FoundServer>()
  for (const server of await ipvs.virtualServers(signal)) {
    if (familyOfServer(server.id) !== family) continue
    found.set(virtualServerName(server.id), { server, realServers: await ipvs.realServers(server.id, signal) })
  }
  return found
}

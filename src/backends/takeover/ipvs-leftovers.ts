import type { Ipset } from '../../kernel/ipset/ipset.ts'
import { IpsetError } from '../../kernel/ipset/ipset-error.ts'
import type { Member } from '../../kernel/ipset/member.ts'
import { familyOfServer, type Ipvs, type VirtualServerId } from '../../kernel/ipvs/ipvs.ts'
import type { InterfaceAddress, Route } from '../../kernel/route/interface-address.ts'
import { type Family, families } from '../../model/ip.ts'
import { setSchema } from '../ipvs/schema.ts'
import { ipvsDevice } from '../ipvs/settings.ts'
import { type OwnershipRole, ownershipRoles, ownVirtualServers } from '../own-virtual-servers.ts'
import { type LeftBehind, type Part, TakeoverError } from './report.ts'

export interface IpvsKernel {
  readonly ipvs: Ipvs
  readonly ipset: Ipset
  readonly route: Route
}

export interface IpvsOptions {
  readonly remove: boolean
  /** Virtual servers and addresses of these families are in use, and so is the device if there are any. */
  readonly inUse: readonly Family[]
}

/** kube-proxy's virtual servers and ours, then the device with their addresses. Their sets tell whose they are: those go later. */
export const ipvsLeftovers = async (
  kernel: IpvsKernel,
  { remove, inUse }: IpvsOptions,
  signal: AbortSignal,
): Promise<Part[]> => {
  try {
    const scope = families.filter((family) => !inUse.includes(family))
    const addresses = await kernel.route.listAddresses(signal)
    const found = await findServers(kernel, scope, addresses, signal)
    const hasDevice = (await kernel.route.findLink(ipvsDevice, signal)) !== undefined
    if (!remove) return [{ counts: { virtualServers: found.length, devices: hasDevice && inUse.length === 0 ? 1 : 0 } }]
    const part = await removeServers(kernel.ipvs, found, signal)
    if (!hasDevice) return [part]
    // Its addresses, too, say whose the virtual servers are: they stay until these are gone.
    if (part.errors !== undefined) return [part, { left: [keptDevice] }]
    if (inUse.length === 0) {
      const deleted = await kernel.route.deleteLink(ipvsDevice, signal)
      return [part, { counts: { devices: deleted ? 1 : 0 } }]
    }
    const unused = addresses.filter((address) => isOnDevice(address) && scope.includes(address.family))
    return [part, await removeAddresses(kernel.route, unused, signal)]
  } catch (error) {
    signal.throwIfAborted()
    return [{ errors: [new TakeoverError('ipvs', 'remove virtual servers', error)] }]
  }
}

const isOnDevice = (address: InterfaceAddress): boolean => address.interface === ipvsDevice

const keptDevice: LeftBehind = {
  area: 'ipvs',
  what: ipvsDevice,
  why: 'its virtual servers could not be removed',
}

const findServers = async (
  { ipvs, ipset }: IpvsKernel,
  scope: readonly Family[],
  addresses: readonly InterfaceAddress[],
  signal: AbortSignal,
): Promise<readonly VirtualServerId[]> => {
  // Every other question would load the module.
  if (scope.length === 0 || !(await ipvs.loaded(signal))) return []
  const ids = (await ipvs.virtualServers(signal)).map(({ id }) => id)
  const found: VirtualServerId[] = []
  for (const family of scope.filter((family) => ids.some((id) => familyOfServer(id) === family))) {
    const isOurs = ownVirtualServers(family, {
      members: await readMembers(ipset, family, signal),
      deviceAddresses: addresses.filter(isOnDevice).map(({ ip }) => ip),
      localAddresses: addresses.map(({ ip }) => ip),
    })
    found.push(...ids.filter(isOurs))
  }
  return found
}

const readMembers = async (
  ipset: Ipset,
  family: Family,
  signal: AbortSignal,
): Promise<ReadonlyMap<OwnershipRole, readonly Member[]>> => {
  const { ref } = setSchema(family)
  const members = new Map<OwnershipRole, readonly Member[]>()
  const present = new Set((await ipset.list(signal)).map(({ name }) => name))
  for (const role of ownershipRoles.filter((role) => present.has(ref(role).name)))
    try {
      members.set(role, await ipset.members(ref(role), signal))
    } catch (error) {
      // Somebody else's set of that name, or one that has gone meanwhile, says nothing.
      if (!(error instanceof IpsetError) || (error.code !== 'typeMismatch' && error.code !== 'notFound')) throw error
    }
  return members
}

/** Those that are gone already count as removed. */
const removeServers = async (ipvs: Ipvs, ids: readonly VirtualServerId[], signal: AbortSignal): Promise<Part> => {
  if (ids.length === 0) return {}
  const refusals = await ipvs.apply(
    ids.map((id) => ({ kind: 'deleteVirtualServer', id })),
    signal,
  )
  const errors = refusals
    .filter(({ error }) => error.code !== 'notFound')
    .map(({ error }) => new TakeoverError('ipvs', 'remove virtual server', error))
  const counts = { virtualServers: ids.length - errors.length }
  return errors.length === 0 ? { counts } : { counts, errors }
}

const removeAddresses = async (
  route: Route,
  unused: readonly InterfaceAddress[],
  signal: AbortSignal,
): Promise<Part> => {
  if (unused.length === 0) return {}
  const refusals = await route.changeAddresses(ipvsDevice, { add: [], remove: unused.map(({ ip }) => ip) }, signal)
  if (refusals.length === 0) return {}
  return { errors: refusals.map(({ error }) => new TakeoverError('ipvs', `remove address of ${ipvsDevice}`, error)) }
}

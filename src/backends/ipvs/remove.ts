import type { Family, IP } from '../../model/ip.ts'
import { destroySet } from '../rules/set-store.ts'
import { iptablesLeftovers } from '../takeover/iptables-leftovers.ts'
import { rejected } from './error.ts'
import { type IpvsKernel, observeIpvs } from './observe.ts'
import { isExcluded } from './plan-full.ts'
import { setSchema } from './schema.ts'
import { type IpvsSettings, ipvsDevice } from './settings.ts'
import { writeServers } from './write-servers.ts'

/**
 * Removes what is ours of one family: virtual servers, addresses, rules, sets, in this order, for rules hold sets, and sets say
 * which virtual servers and addresses are ours. kube-ipvs0 goes when nothing is left on it. Does not load IPVS.
 */
export const removeIpvs = async (
  kernel: IpvsKernel,
  family: Family,
  settings: IpvsSettings,
  signal: AbortSignal,
): Promise<void> => {
  const { ipvs, ipset, iptables } = kernel
  const found = await observeIpvs(kernel, family, signal, { load: false })
  const changes = [...found.servers.values()].flatMap(({ server: { id } }) =>
    found.isOurs(id) && !isExcluded(id, settings)
      ? [{ change: { kind: 'deleteVirtualServer' as const, id }, tag: undefined }]
      : [],
  )
  const { rejections, failure } = await writeServers(ipvs, changes, (server) => server, signal)
  if (failure !== undefined) throw failure
  for (const rejection of rejections) throw rejected(rejection)
  if (found.device) await removeAddresses(kernel, found.ownAddresses, signal)
  const parts = await iptablesLeftovers(iptables, { remove: true, inUse: undefined }, signal)
  for (const { errors = [] } of parts) for (const error of errors) throw error
  const { roles, ref, spare } = setSchema(family)
  const names = new Set([...roles.map((role) => ref(role).name), spare])
  for (const { name } of await ipset.list(signal)) if (names.has(name)) await destroySet(ipset, name, signal)
}

const removeAddresses = async ({ route }: IpvsKernel, remove: readonly IP[], signal: AbortSignal): Promise<void> => {
  const refusals = await route.changeAddresses(ipvsDevice, { add: [], remove }, signal)
  for (const { error } of refusals) throw rejected({ tag: undefined, op: `remove addresses from ${ipvsDevice}`, error })
  const left = (await route.listAddresses(signal)).filter((address) => address.interface === ipvsDevice)
  // A device that is up has a link-local address of its own.
  if (left.every(({ scope }) => scope === 'link')) await route.deleteLink(ipvsDevice, signal)
}

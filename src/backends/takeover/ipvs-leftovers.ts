import { IpvsError } from '../../kernel/ipvs/ipvs-error.ts'
import { type VirtualServer, type VirtualServers, virtualServerName } from '../../kernel/ipvs/virtual-server.ts'
import type { Route } from '../../kernel/route/interface-address.ts'
import { type LeftBehind, type Part, TakeoverError } from './report.ts'

/** The dummy device that holds the address of each of kube-proxy's virtual servers but those of NodePorts. */
export const ipvsDevice = 'kube-ipvs0'

export const ipvsLeftovers = async (
  servers: VirtualServers,
  route: Route,
  remove: boolean,
  signal: AbortSignal,
): Promise<Part[]> => {
  try {
    if ((await route.findLink(ipvsDevice, signal)) === undefined) return []
    const addresses = await route.listAddresses(signal)
    const onDevice = new Set(addresses.filter((address) => address.interface === ipvsDevice).map(({ ip }) => ip))
    const listed = await servers.list(signal)
    const found = listed?.filter(({ ip }) => onDevice.has(ip)) ?? []
    if (!remove) return [{ counts: { virtualServers: found.length, devices: 1 } }]
    const part = await removeServers(servers, found, signal)
    // The device alone says which virtual servers were kube-proxy's: it stays until they are gone.
    if (part.left !== undefined || part.errors !== undefined) return [part, { left: [keptDevice] }]
    const deleted = await route.deleteLink(ipvsDevice, signal)
    return [part, { counts: { devices: deleted ? 1 : 0 } }]
  } catch (error) {
    signal.throwIfAborted()
    return [{ errors: [new TakeoverError('ipvs', `remove ${ipvsDevice}`, error)] }]
  }
}

const keptDevice: LeftBehind = {
  area: 'ipvs',
  what: ipvsDevice,
  why: 'its virtual servers could not be removed',
}

const removeServers = async (
  servers: VirtualServers,
  found: readonly VirtualServer[],
  signal: AbortSignal,
): Promise<Part> => {
  if (found.length === 0) return {}
  try {
    await servers.remove(found, signal)
    return { counts: { virtualServers: found.length } }
  } catch (error) {
    signal.throwIfAborted()
    if (!(error instanceof IpvsError) || error.code !== 'missing')
      return { errors: [new TakeoverError('ipvs', 'remove virtual servers', error)] }
    const why = 'ipvsadm is not installed'
    return { left: found.map((server) => ({ area: 'ipvs', what: virtualServerName(server), why })) }
  }
}

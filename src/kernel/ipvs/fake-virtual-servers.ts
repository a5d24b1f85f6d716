import { type VirtualServer, type VirtualServers, virtualServerName } from './virtual-server.ts'

/** {@link VirtualServers} in memory; undefined = a kernel without IPVS. */
export class FakeVirtualServers implements VirtualServers {
  #servers: readonly VirtualServer[] | undefined

  constructor(servers?: readonly VirtualServer[]) {
    this.#servers = servers
  }

  async list(): Promise<readonly VirtualServer[] | undefined> {
    return this.#servers
  }

  async remove(servers: readonly VirtualServer[], signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    const names = new Set(servers.map(virtualServerName))
    this.#servers = this.#servers?.filter((server) => !names.has(virtualServerName(server)))
  }
}

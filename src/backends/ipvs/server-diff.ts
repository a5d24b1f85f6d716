import type { IpvsChange, RealServer, VirtualServer, VirtualServerId } from '../../kernel/ipvs/ipvs.ts'
import { hostPort, virtualServerName } from '../../kernel/ipvs/names.ts'
import type { ServiceKey } from '../../model/names.ts'
import type { Protocol } from '../../model/protocol.ts'
import { canDrain } from './can-drain.ts'

export interface WantedServer {
  readonly server: VirtualServer
  /** Sorted; weight 0: drained for as long as that is wanted. */
  readonly realServers: readonly RealServer[]
  readonly protocol: Protocol
  /** Who it is for. */
  readonly tag: ServiceKey
}

/** A virtual server as it is in the kernel, with real servers that drain. */
export interface FoundServer {
  readonly server: VirtualServer
  /** In any order. */
  readonly realServers: readonly RealServer[]
}

export interface TaggedChange {
  readonly change: IpvsChange
  /** Undefined where it is nobody's any more. */
  readonly tag: ServiceKey | undefined
}

/** Real servers of one virtual server that are kept for their connections only; weight 0, each. */
export interface DrainingServers {
  readonly id: VirtualServerId
  readonly realServers: readonly RealServer[]
}

export const realServerName = ({ ip, port }: Pick<RealServer, 'ip' | 'port'>): string => hostPort(ip, port)

/** Compares virtual servers with what is wanted, and collects what differs in the order in which it is to be written. */
export class ServerDiff {
  /** What drains afterwards, by name of the virtual server; empty where nothing does. */
  readonly draining = new Map<string, DrainingServers>()
  readonly #servers: TaggedChange[] = []
  readonly #realServers: TaggedChange[] = []
  readonly #removals: TaggedChange[] = []
  readonly #deletions: TaggedChange[] = []

  put(found: FoundServer | undefined, wanted: WantedServer): void {
    const { server, tag } = wanted
    if (found === undefined) this.#servers.push({ change: { kind: 'addVirtualServer', server }, tag })
    else if (!sameServer(found.server, server))
      this.#servers.push({ change: { kind: 'setVirtualServer', server }, tag })
    this.#compare(found?.realServers ?? [], wanted)
  }

  /**
   * Its real servers go with it, connections or not, as kube-proxy has it: the address must be free at once, for another
   * Service may get it, or another machine.
   */
  delete(id: VirtualServerId, tag: ServiceKey | undefined): void {
    this.#deletions.push({ change: { kind: 'deleteVirtualServer', id }, tag })
    this.draining.set(virtualServerName(id), { id, realServers: [] })
  }

  changes(): readonly TaggedChange[] {
    return [...this.#servers, ...this.#realServers, ...this.#removals, ...this.#deletions]
  }

  #compare(
    found: readonly RealServer[],
    { server: { id, scheduler }, realServers, protocol, tag }: WantedServer,
  ): void {
    const left = new Map(found.map((server) => [realServerName(server), server]))
    // The kernel puts each one first, so that the last one wanted has to be added first.
    for (const server of realServers.toReversed()) {
      const name = realServerName(server)
      const had = left.get(name)
      left.delete(name)
      if (had === undefined) this.#realServers.push({ change: { kind: 'addRealServer', id, server }, tag })
      else if (!sameRealServer(had, server))
        this.#realServers.push({ change: { kind: 'setRealServer', id, server }, tag })
    }
    const draining: RealServer[] = []
    for (const server of left.values()) {
      // A datagram more or less is no connection: there is nothing to keep.
      if (protocol === 'UDP' || !canDrain(scheduler)) {
        this.#removals.push({ change: { kind: 'deleteRealServer', id, server }, tag })
        continue
      }
      const drained = { ...server, weight: 0 }
      draining.push(drained)
      if (server.weight > 0) this.#removals.push({ change: { kind: 'setRealServer', id, server: drained }, tag })
    }
    this.draining.set(virtualServerName(id), { id, realServers: draining })
  }
}

export const sameServer = (one: VirtualServer, other: VirtualServer): boolean =>
  one.scheduler === other.scheduler &&
  one.flags.length === other.flags.length &&
  one.flags.every((flag) => other.flags.includes(flag)) &&
  (!one.flags.includes('persistent') ||
    (one.persistenceSeconds === other.persistenceSeconds && one.persistencePrefix === other.persistencePrefix))

export const sameRealServer = (one: RealServer, other: RealServer): boolean =>
  one.forwarding === other.forwarding &&
  one.weight === other.weight &&
  one.upperThreshold === other.upperThreshold &&
  one.lowerThreshold === other.lowerThreshold

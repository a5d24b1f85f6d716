import { constants } from 'node:os'
import { assertNever } from '../../model/assert-never.ts'
import type { IP } from '../../model/ip.ts'
import { familyOf } from '../../model/ip.ts'
import { schedulers as knownSchedulers } from '../../model/scheduling.ts'
import { KernelError } from '../netlink/error.ts'
import { checkChange, checkTimeouts, misfitOfId, refusalOf, throwIfDenied } from './check.ts'
import { isRealServerAddress } from './fake-address.ts'
import {
  familyOfServer,
  type Ipvs,
  type IpvsChange,
  type IpvsCounters,
  type IpvsRefusal,
  type IpvsTimeouts,
  type ObservedRealServer,
  type ObservedVirtualServer,
  type RealServer,
  type VirtualServer,
  type VirtualServerId,
  virtualServerFlags,
} from './ipvs.ts'
import { hostPort, virtualServerName } from './names.ts'
import { noIpvs } from './no-ipvs.ts'

const { EEXIST, EINVAL, ENOENT, ERANGE, ESRCH } = constants.errno

/** Connections of a real server. */
export type Connections = Partial<Pick<ObservedRealServer, 'active' | 'inactive' | 'persistent'>>

export interface Refusing {
  readonly matches: (change: IpvsChange) => boolean
  readonly errno: number
  readonly detail?: string
}

export interface FakeIpvsOptions {
  /** False: a kernel without IPVS. */
  readonly available?: boolean
  /** What the kernel has besides `none`; all that there are unless given. */
  readonly schedulers?: readonly string[]
  /** Addresses that no route of the node leads to as to one host: those of its networks' broadcasts. */
  readonly broadcast?: readonly IP[]
}

interface FakeVirtualServer {
  server: VirtualServer
  /** Newest first. */
  realServers: readonly ObservedRealServer[]
}

const noCounters: IpvsCounters = { connections: 0n, packetsIn: 0n, packetsOut: 0n, bytesIn: 0n, bytesOut: 0n }

/**
 * {@link Ipvs} in memory. As in the kernel, a real server that is removed and comes back has its connections still: they are
 * not its virtual server's. Here it has them for good, there for as long as they last and two minutes.
 */
export class FakeIpvs implements Ipvs {
  /** What the kernel took, in order. */
  readonly applied: IpvsChange[] = []
  /** How many datagrams were sent to change something. */
  datagrams = 0
  readonly #available: boolean
  readonly #schedulers: ReadonlySet<string>
  readonly #broadcast: ReadonlySet<IP>
  #loaded = false
  readonly #servers = new Map<string, FakeVirtualServer>()
  readonly #connections = new Map<string, Connections>()
  #refusing: readonly Refusing[] = []
  readonly #failures: unknown[] = []
  #timeouts: IpvsTimeouts = { tcp: 900, tcpFin: 120, udp: 300 }

  constructor({ available = true, schedulers = knownSchedulers, broadcast = [] }: FakeIpvsOptions = {}) {
    this.#available = available
    this.#schedulers = new Set([...schedulers.filter((name) => name !== 'random'), 'none'])
    this.#broadcast = new Set(broadcast)
  }

  /** From now on, also after the real server has gone and come back. */
  setConnections(id: VirtualServerId, server: Pick<RealServer, 'ip' | 'port'>, connections: Connections): void {
    this.#connections.set(connectionsKey(id, server), connections)
  }

  /** Changes that the kernel refuses from now on, instead of those of an earlier call. */
  refuse(...refusing: readonly Refusing[]): void {
    this.#refusing = refusing
  }

  /** The next call but {@link loaded} rejects with it; several make a queue. */
  failNext(error: unknown): void {
    this.#failures.push(error)
  }

  async loaded(signal: AbortSignal): Promise<boolean> {
    signal.throwIfAborted()
    return this.#loaded
  }

  async virtualServers(signal: AbortSignal): Promise<readonly ObservedVirtualServer[]> {
    this.#begin('list virtual servers', signal)
    return [...this.#servers.values()].map(({ server }) => ({ ...server, counters: noCounters }))
  }

  async realServers(id: VirtualServerId, signal: AbortSignal): Promise<readonly ObservedRealServer[]> {
    this.#begin(`list real servers of ${virtualServerName(id)}`, signal)
    const found = misfitOfId(id) === undefined ? this.#servers.get(virtualServerName(id)) : undefined
    return (found?.realServers ?? []).map((server) => ({
      ...server,
      ...this.#connections.get(connectionsKey(id, server)),
    }))
  }

  async apply(changes: readonly IpvsChange[], signal: AbortSignal): Promise<readonly IpvsRefusal[]> {
    signal.throwIfAborted()
    if (changes.length === 0) return []
    this.#begin('change virtual servers', signal)
    const refusals: IpvsRefusal[] = []
    let sent = false
    changes.forEach((change, index) => {
      const unfit = checkChange(change)
      sent ||= unfit === undefined
      const error = unfit ?? this.#scripted(change) ?? this.#apply(change)
      if (error === undefined) this.applied.push(change)
      else refusals.push({ index, error })
    })
    if (sent) this.datagrams++
    return throwIfDenied(refusals)
  }

  async timeouts(signal: AbortSignal): Promise<IpvsTimeouts> {
    this.#begin('read timeouts', signal)
    return this.#timeouts
  }

  async setTimeouts(timeouts: IpvsTimeouts, signal: AbortSignal): Promise<void> {
    const op = 'set timeouts'
    checkTimeouts(op, timeouts)
    this.#begin(op, signal)
    this.datagrams++
    const { tcp, tcpFin, udp } = timeouts
    if (Math.max(tcp, tcpFin, udp) > mostSeconds) throw KernelError.ofErrno(op, EINVAL)
    const now = this.#timeouts
    this.#timeouts = { tcp: tcp || now.tcp, tcpFin: tcpFin || now.tcpFin, udp: udp || now.udp }
  }

  #begin(op: string, signal: AbortSignal): void {
    signal.throwIfAborted()
    if (this.#failures.length > 0) throw this.#failures.shift()
    if (!this.#available) throw noIpvs(op)
    this.#loaded = true
  }

  #scripted(change: IpvsChange): KernelError | undefined {
    const found = this.#refusing.find(({ matches }) => matches(change))
    return found && refusalOf(change, found.errno, found.detail)
  }

  /** In the order in which ip_vs_genl_set_cmd and what it calls look (net/netfilter/ipvs/ip_vs_ctl.c). */
  #apply(change: IpvsChange): KernelError | undefined {
    const errno = this.#errnoOf(change)
    return errno === undefined ? undefined : refusalOf(change, errno)
  }

  #errnoOf(change: IpvsChange): number | undefined {
    const name = virtualServerName('id' in change ? change.id : change.server.id)
    const found = this.#servers.get(name)
    switch (change.kind) {
      case 'addVirtualServer':
        if (found !== undefined) return EEXIST
        return this.#shapeErrno(change.server) ?? void this.#servers.set(name, stored(change.server, []))
      case 'setVirtualServer':
        if (found === undefined) return ESRCH
        return this.#shapeErrno(change.server) ?? void this.#servers.set(name, stored(change.server, found.realServers))
      case 'deleteVirtualServer':
        return this.#servers.delete(name) ? undefined : ESRCH
      case 'addRealServer':
      case 'setRealServer':
        return found === undefined ? ESRCH : this.#putRealServer(found, change)
      case 'deleteRealServer': {
        if (found === undefined) return ESRCH
        const rest = found.realServers.filter((server) => !isSame(server, change.server))
        if (rest.length === found.realServers.length) return ENOENT
        found.realServers = rest
        return undefined
      }
      default:
        return assertNever(change, 'IPVS change')
    }
  }

  #shapeErrno({ id, scheduler, persistencePrefix }: VirtualServer): number | undefined {
    if (!this.#schedulers.has(scheduler)) return ENOENT
    return familyOfServer(id) === 'IPv6' && persistencePrefix === 0 ? EINVAL : undefined
  }

  #putRealServer(
    found: FakeVirtualServer,
    { kind, id, server }: Extract<IpvsChange, { readonly kind: 'addRealServer' | 'setRealServer' }>,
  ): number | undefined {
    // Only a tunnel may lead from one family into the other.
    if (familyOf(server.ip) !== familyOfServer(id) && server.forwarding !== 'tunnel') return EINVAL
    if (server.lowerThreshold > server.upperThreshold) return ERANGE
    const at = found.realServers.findIndex((other) => isSame(other, server))
    const observed: ObservedRealServer = { ...server, active: 0, inactive: 0, persistent: 0, counters: noCounters }
    if (kind === 'setRealServer') {
      if (at < 0) return ENOENT
      found.realServers = found.realServers.with(at, observed)
      return undefined
    }
    if (at >= 0) return EEXIST
    if (!isRealServerAddress(server.ip) || this.#broadcast.has(server.ip)) return EINVAL
    found.realServers = [observed, ...found.realServers]
    return undefined
  }
}

const stored = (server: VirtualServer, realServers: readonly ObservedRealServer[]): FakeVirtualServer => ({
  server: { ...server, flags: virtualServerFlags.filter((flag) => server.flags.includes(flag)) },
  realServers,
})

const isSame = (one: Pick<RealServer, 'ip' | 'port'>, other: Pick<RealServer, 'ip' | 'port'>): boolean =>
  one.ip === other.ip && one.port === other.port

const connectionsKey = (id: VirtualServerId, { ip, port }: Pick<RealServer, 'ip' | 'port'>): string =>
  `${virtualServerName(id)} ${hostPort(ip, port)}`

/** The kernel keeps ticks in 31 bits; a second has up to 1000 of them (CONFIG_HZ), and here it has. */
const mostSeconds = Math.floor((2 ** 31 - 1) / 1000)

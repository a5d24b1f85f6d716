import { type Family, familyOf, type IP } from '../../model/ip.ts'
import type { Protocol } from '../../model/protocol.ts'
import type { KernelError } from '../netlink/error.ts'

/** What identifies a virtual server. A mark is that of packets (`ipvsadm -f`), not 0; one namespace per family. */
export type VirtualServerId =
  /** Port 0: every port; such a one schedules only when it is persistent. */
  | { readonly kind: 'address'; readonly protocol: Protocol; readonly ip: IP; readonly port: number }
  | { readonly kind: 'mark'; readonly family: Family; readonly mark: number }

export const familyOfServer = (id: VirtualServerId): Family => (id.kind === 'mark' ? id.family : familyOf(id.ip))

/** IP_VS_SVC_F_* of linux/ip_vs.h; `hashed` is the kernel's own and is not shown. */
export const virtualServerFlags = ['persistent', 'onePacket', 'sched1', 'sched2', 'sched3'] as const
export type VirtualServerFlag = (typeof virtualServerFlags)[number]

/** `ipvsadm -A`. */
export interface VirtualServer {
  readonly id: VirtualServerId
  /** Name of a kernel module ip_vs_*: at most 15 bytes; `none`. */
  readonly scheduler: string
  /** In the order of {@link virtualServerFlags}, each once. `sched1` is sh-fallback and mh-fallback, `sched2` sh-port, mh-port. */
  readonly flags: readonly VirtualServerFlag[]
  /** Seconds that a client is remembered; counts only with `persistent`. Up to 4,294,967 (49 days). */
  readonly persistenceSeconds: number
  /**
   * Clients that share so many leading bits of their address are one: 0 to 32, 1 to 128. The kernel takes IPv4 masks with
   * gaps, which others may have set; of such a mask this is what is before the first gap.
   */
  readonly persistencePrefix: number
}

/** `ipvsadm -m`, `-g`, `-i`; `local` and `bypass` come from the kernel only. IP_VS_CONN_F_*. */
export type Forwarding = 'masquerade' | 'direct' | 'tunnel' | 'local' | 'bypass'

/** `ipvsadm -a`. What identifies it within its virtual server is address and port. */
export interface RealServer {
  readonly ip: IP
  readonly port: number
  readonly forwarding: Forwarding
  /** 0: nothing new, what is there goes on. 0 to 2^31-1. */
  readonly weight: number
  /** Connections at which it is left out, and at which it is back; 0 = none. The lower is not above the upper. */
  readonly upperThreshold: number
  readonly lowerThreshold: number
}

/** Since creation, or since `ipvsadm -Z`; the kernel adds them up every two seconds. */
export interface IpvsCounters {
  readonly connections: bigint
  readonly packetsIn: bigint
  readonly packetsOut: bigint
  readonly bytesIn: bigint
  readonly bytesOut: bigint
}

export interface ObservedVirtualServer extends VirtualServer {
  readonly counters: IpvsCounters
}

export interface ObservedRealServer extends RealServer {
  readonly active: number
  readonly inactive: number
  readonly persistent: number
  readonly counters: IpvsCounters
}

export type IpvsChange =
  | { readonly kind: 'addVirtualServer' | 'setVirtualServer'; readonly server: VirtualServer }
  /** Its real servers go with it; its connections stay until they time out. */
  | { readonly kind: 'deleteVirtualServer'; readonly id: VirtualServerId }
  | { readonly kind: 'addRealServer' | 'setRealServer'; readonly id: VirtualServerId; readonly server: RealServer }
  | {
      readonly kind: 'deleteRealServer'
      readonly id: VirtualServerId
      readonly server: Pick<RealServer, 'ip' | 'port'>
    }

/** A change that the kernel did not take; the others are not touched by that. */
export interface IpvsRefusal {
  readonly index: number
  /**
   * `notFound` (ENOENT) with `addVirtualServer` or `setVirtualServer`: the kernel lacks the scheduler; ESRCH: no such virtual
   * server; ENOENT otherwise: no such real server. `exists`: it is there already. `errno` tells, `detail` is the extended ACK,
   * or what of the change cannot be said to any kernel.
   */
  readonly error: KernelError
}

/** Seconds: `ipvsadm --set`. 0 leaves one alone when set. */
export interface IpvsTimeouts {
  readonly tcp: number
  readonly tcpFin: number
  readonly udp: number
}

/**
 * The IPVS table of one network namespace. Rejections are KernelError, or the signal's reason: `unsupported` where the
 * kernel has no IPVS, `permission` without CAP_NET_ADMIN.
 */
export interface Ipvs {
  /** Whether the kernel has IPVS at this moment. Every other call loads it where it can be loaded; this one does not. */
  loaded(signal: AbortSignal): Promise<boolean>
  /**
   * Both families, and those for marks; in no particular order. One of a protocol that is no {@link Protocol} is left out.
   * The kernel does not tell when someone changed the table while it was read: one may then be missing, or be there twice.
   */
  virtualServers(signal: AbortSignal): Promise<readonly ObservedVirtualServer[]>
  /** In the kernel's order: the one added last comes first. Empty also when there is no such virtual server. */
  realServers(id: VirtualServerId, signal: AbortSignal): Promise<readonly ObservedRealServer[]>
  /** In that order, in as few datagrams as it takes; each by itself, no transaction. Nothing is sent for no changes. */
  apply(changes: readonly IpvsChange[], signal: AbortSignal): Promise<readonly IpvsRefusal[]>
  timeouts(signal: AbortSignal): Promise<IpvsTimeouts>
  setTimeouts(timeouts: IpvsTimeouts, signal: AbortSignal): Promise<void>
}

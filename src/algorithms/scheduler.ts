import type { SchedulerFlag, Scheduler as SchedulerName } from '../model/scheduling.ts'
import type { OverheadModel } from './cost.ts'
import type { Packet } from './packet.ts'
import type { RandomBelow } from './random-source.ts'
import type { Server } from './server.ts'
import type { ServerList } from './server-list.ts'

/** A service with a scheduler bound to it: struct ip_vs_service as far as scheduling goes. */
export interface Scheduler {
  readonly name: SchedulerName
  /** In list order: what was added last comes first. */
  readonly servers: readonly Server[]
  /** Who gets a new connection; undefined when nobody can. Counts nothing: that is the caller's, see connections.ts. */
  pick(packet: Packet): Server | undefined
  /** Puts a server at the head of the list. @throws SchedulerError `exists` */
  add(server: Server): void
  /** The server's weight has changed. @throws SchedulerError `not-found`, `out-of-range` */
  update(server: Server): void
  /**
   * Takes a server out. Caches of lblc and lblcr keep the object, as the kernel's trash does: added again, it is theirs
   * again. @throws SchedulerError `not-found`
   */
  remove(server: Server): void
  /** The timer of lblc and lblcr, which drops stale entries: call it every `tickSeconds`. Does nothing for the others. */
  tick(): void
}

/** Everything that a scheduler may be given. `OptionsFor` says what each needs. */
export interface SchedulerOptions {
  /** Already there when the scheduler is bound, in list order. None unless given. */
  readonly servers?: readonly Server[]
  /** Those of other schedulers are ignored. */
  readonly flags?: readonly SchedulerFlag[]
  /** How lc, wlc, lblc, lblcr and twos weigh connections; `total` unless given. */
  readonly overhead?: OverheadModel
  /** Size of the tables of sh and dh as a power of two: 4 to 20; 8 unless given (CONFIG_IP_VS_SH_TAB_BITS, _DH_TAB_BITS). */
  readonly tableBits?: number
  /** Slots of mh, one of `maglevSizes`; 4093 unless given (CONFIG_IP_VS_MH_TAB_INDEX 12). */
  readonly maglevSize?: number
  /** Seconds for which lblc keeps an unused entry, and lblcr an unchanged set too; 86400 unless given (sysctl lblc_expiration, lblcr_expiration). */
  readonly expiration?: number
  /** Entries from which lblc and lblcr learn no new destination; 24576 unless given. Infinity is Linux before 6.1.191. */
  readonly cacheLimit?: number
  /** Where random and twos get their numbers. */
  readonly random?: RandomBelow
  /** Seconds of a clock that never goes back, for lblc and lblcr. */
  readonly now?: () => number
}

/** What a scheduler does when; each of the files rr.ts, wrr.ts … makes one. */
export interface Discipline {
  pick(packet: Packet): Server | undefined
  /** A server is now at the head of the list. */
  added?(): void
  /** A server has gone from position `index`. */
  removed?(index: number): void
  /** A weight has changed. */
  updated?(): void
  tick?(): void
}

/** Binds a discipline to a list that may already have servers in it (init_service of struct ip_vs_scheduler). */
export type Bind = (servers: ServerList, options: SchedulerOptions) => Discipline

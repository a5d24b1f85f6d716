import { assertNever } from '../../model/assert-never.ts'
import type { SchedulerFlag, Scheduling } from '../../model/scheduling.ts'
import type { NftScheduler } from './slots.ts'

/** What the slot is derived from. */
export type Pick =
  | { readonly kind: 'random' }
  /** A counter, so the chain belongs to one service port: a counter shared by services would skew all of them. */
  | { readonly kind: 'next'; readonly owner: string }
  | { readonly kind: 'source'; readonly withPort: boolean }
  | { readonly kind: 'destination' }

/**
 * How many slots a rule picks from. `full`: every slot leads to a target. `sparse`: at least a quarter of them does (all
 * of the first quarter), and a pick that hits an empty one is made again.
 *
 * A sparse table is what makes scaling cheap: a service that goes from 8 endpoints to 7 stays in the same class. Were the
 * exact number part of the class, the service's verdict would change, and the kernel walks every verdict of the table
 * before it accepts a new one.
 */
export type SlotTable =
  | { readonly kind: 'full'; readonly size: number }
  | { readonly kind: 'sparse'; readonly capacity: number }

/** Counters and Maglev tables need every slot filled; a random or hashed pick can be made again. */
export const slotTableFor = (scheduler: NftScheduler, slots: number): SlotTable => {
  switch (scheduler) {
    case 'rr':
    case 'wrr':
    case 'mh':
      return { kind: 'full', size: slots }
    case 'random':
    case 'sh':
    case 'dh':
      return { kind: 'sparse', capacity: 4 ** Math.max(1, Math.ceil(Math.log2(slots) / 2)) }
    default:
      return assertNever(scheduler, 'scheduler')
  }
}

/** The slots of a virtual server's cluster-wide targets begin here when it has local ones as well. */
export const clusterOffset = 65536

/**
 * Which of a virtual server's slots a chain picks from: all there are; or, when they are split by externalTrafficPolicy
 * Local, those of this node or those of the whole cluster.
 */
export type Range = 'all' | 'local' | 'cluster'

/** Picks an endpoint and translates to it. */
export interface PickClass {
  readonly kind: 'pick'
  /** Keyed by destination address, or by node port alone. */
  readonly frontend: 'address' | 'nodeport'
  readonly scheduler: NftScheduler
  readonly pick: Pick
  readonly table: SlotTable
  readonly range: Range
  /** The endpoint sees the node as its client. */
  readonly masquerade: boolean
  /** A client goes where it went before, if that is remembered. */
  readonly sticky: boolean
}

/** externalTrafficPolicy Local: pods and the node itself use the cluster's endpoints, everyone else the local ones. */
export interface SplitClass {
  readonly kind: 'split'
  readonly cluster: PickClass
  readonly local: PickClass | undefined
}

/** Remembers which endpoint a connection was sent to, or renews that memory, for the client's next one. */
export interface RecordClass {
  readonly kind: 'record'
  readonly seconds: number
}

/**
 * Finds out whether a translated connection is to be remembered. One chain that the fixed rules jump to; it has rules
 * only while a service with session affinity exists.
 */
export interface RecorderClass {
  readonly kind: 'recorder'
}
export const recorder: RecorderClass = { kind: 'recorder' }
export const recorderName = 'affinity-record'

/**
 * How a virtual server treats a new connection. Servers that are configured alike share one chain, so the number of
 * chains follows the variety of configurations, not the number of services.
 */
export type ChainClass = PickClass | SplitClass | RecordClass | RecorderClass

const has = (flags: readonly SchedulerFlag[], flag: SchedulerFlag): boolean => flags.includes(flag)

export const pickFor = (scheduler: NftScheduler, { flags }: Scheduling, owner: string): Pick => {
  switch (scheduler) {
    case 'random':
      return { kind: 'random' }
    case 'rr':
    case 'wrr':
      return { kind: 'next', owner }
    case 'sh':
      return { kind: 'source', withPort: has(flags, 'sh-port') }
    case 'mh':
      return { kind: 'source', withPort: has(flags, 'mh-port') }
    case 'dh':
      return { kind: 'destination' }
    default:
      return assertNever(scheduler, 'scheduler')
  }
}

/** The chain's name says everything that its rules depend on, apart from the host's own settings. */
export const className = (chain: ChainClass): string => {
  switch (chain.kind) {
    case 'pick':
      return pickName(chain)
    case 'split':
      return splitName(chain)
    case 'record':
      return `record-${chain.seconds}s`
    case 'recorder':
      return recorderName
    default:
      return assertNever(chain, 'chain class')
  }
}

const pickName = ({ frontend, scheduler, pick, table, range, masquerade, sticky }: PickClass): string => {
  const front = frontend === 'nodeport' ? 'nodeport-' : ''
  const ports = pick.kind === 'source' && pick.withPort ? 'port' : ''
  const slots = range === 'all' ? sizeName(table) : `${sizeName(table)}-${range}`
  const owner = pick.kind === 'next' ? `-${pick.owner}` : ''
  return `${front}${scheduler}${ports}-${slots}${masquerade ? '-masq' : ''}${sticky ? '-sticky' : ''}${owner}`
}

const splitName = ({ cluster, local }: SplitClass): string =>
  `split-${pickName(cluster)}${local === undefined ? '' : `-${sizeName(local.table)}`}`

const sizeName = (table: SlotTable): string => (table.kind === 'full' ? `${table.size}` : `upto${table.capacity}`)

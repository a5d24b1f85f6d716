import { assertNever } from '../model/assert-never.ts'
import type { Cidr } from '../model/cidr.ts'
import type { IP } from '../model/ip.ts'
import type { Port } from '../model/port.ts'
import type { Scheduler, SchedulerFlag } from '../model/scheduling.ts'

/** What is simulated: parsed and checked. Times are seconds, rates are per second. docs/simulate.md says what each field means. */
export interface Scenario {
  /** What it was read from, for messages. */
  readonly file: string
  readonly title: string
  /** 0 to 2^32 - 1. Everything that is random follows from it. */
  readonly seed: number
  readonly connections: number
  readonly protocol: TransportProtocol
  /** For how long an ended connection still counts as inactive. */
  readonly linger: number
  readonly arrivals: Arrivals
  readonly clients: Population
  readonly destinations: Population
  readonly servers: readonly ServerPlan[]
  /** In the order in which they happen. */
  readonly events: readonly PlannedEvent[]
  readonly schedulers: readonly SchedulerPlan[]
}

/** TCP connections count as active until they end, those of UDP never do. */
export type TransportProtocol = 'TCP' | 'UDP'

export type Arrivals =
  | { readonly kind: 'constant'; readonly rate: number }
  | { readonly kind: 'poisson'; readonly rate: number }
  /** `size` connections evenly within `within` seconds, so often that `rate` is the mean. */
  | { readonly kind: 'bursts'; readonly rate: number; readonly size: number; readonly within: number }
  /** Poisson, with a rate that goes from `from` to `to` in `over` seconds and then stays. */
  | { readonly kind: 'ramp'; readonly from: number; readonly to: number; readonly over: number }

/** Addresses and how often each is seen: number i of them in proportion to 1 / i^skew. */
export interface Population {
  readonly number: number
  readonly skew: number
  readonly addresses: Cidr
}

export interface ServerPlan {
  readonly name: string
  readonly ip: IP
  readonly port: Port
  readonly weight: number
  readonly serviceTime: ServiceTime
  /** Connections served at once; Infinity serves all at once. */
  readonly capacity: number
  /** Connections that may wait beyond these; what comes then is refused. */
  readonly queue: number
  /** LVS thresholds; 0 for none. */
  readonly upperThreshold: number
  readonly lowerThreshold: number
  /** Not there until an event `join`. */
  readonly absent: boolean
}

export type ServiceTime =
  | { readonly kind: 'constant'; readonly mean: number }
  | { readonly kind: 'exponential'; readonly mean: number }
  | { readonly kind: 'uniform'; readonly from: number; readonly to: number }
  /** `sigma`: standard deviation of the logarithm. */
  | { readonly kind: 'lognormal'; readonly mean: number; readonly sigma: number }
  /** `alpha` above 1: the smaller, the heavier the tail. */
  | { readonly kind: 'pareto'; readonly mean: number; readonly alpha: number }

/** An event happens at a time, or right before the connection of that number, counted from 1. */
export type Trigger =
  | { readonly kind: 'time'; readonly at: number }
  | { readonly kind: 'connection'; readonly number: number }

export type ServerAction =
  /** Its connections are cut; it is taken out of the list `noticedAfter` seconds later, and refuses what comes until then. */
  | { readonly kind: 'die'; readonly noticedAfter: number }
  /** Taken out of the list; its connections go on. */
  | { readonly kind: 'leave' }
  /** Into the list, alive and empty-handed. */
  | { readonly kind: 'join' }
  | { readonly kind: 'weight'; readonly weight: number }
  /** Service times from now on are multiplied by it, those in progress are not. */
  | { readonly kind: 'slow'; readonly factor: number }

export interface PlannedEvent {
  readonly trigger: Trigger
  /** Index into `servers`. */
  readonly server: number
  readonly action: ServerAction
  /** Where it stands in the file. */
  readonly line: number | undefined
}

export interface SchedulerPlan {
  readonly name: Scheduler
  readonly flags: readonly SchedulerFlag[]
}

/** `mh (mh-port, mh-fallback)`. */
export const schedulerLabel = ({ name, flags }: SchedulerPlan): string =>
  flags.length === 0 ? name : `${name} (${flags.join(', ')})`

/** `c dies`; what the change is called that follows from the event. */
export const eventLabel = ({ server, action }: PlannedEvent, servers: readonly { readonly name: string }[]): string => {
  const name = servers[server]?.name ?? ''
  switch (action.kind) {
    case 'die':
      return action.noticedAfter > 0 ? `${name} dies, noticed after ${action.noticedAfter} s` : `${name} dies`
    case 'leave':
      return `${name} leaves`
    case 'join':
      return `${name} joins`
    case 'weight':
      return action.weight === 0 ? `${name} drains` : `${name} gets weight ${action.weight}`
    case 'slow':
      return `${name} takes ${action.factor} × as long`
    default:
      return assertNever(action, 'action')
  }
}

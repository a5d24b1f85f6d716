import type { Scheduler, SchedulerFlag } from '../model/scheduling.ts'
import type { Histogram } from './histogram.ts'

/** What one scheduler made of a scenario. Plain values: it crosses from a thread. Times are seconds. */
export interface SchedulerResult {
  readonly scheduler: Scheduler
  readonly flags: readonly SchedulerFlag[]
  readonly connections: ConnectionCounts
  /** In the order of the scenario. */
  readonly servers: readonly ServerResult[]
  readonly imbalance: {
    /** Of connections / what the weights promise, one number for each server. */
    readonly connections: Imbalance
    /** Of load / weight, at each sample; the mean of the samples. */
    readonly load: Imbalance
  }
  /** From the arrival until service begins. */
  readonly queueing: Delays
  /** From the arrival until service ends. */
  readonly response: Delays
  readonly changes: readonly ChangeResult[]
  readonly affinity: {
    readonly repeats: number
    readonly kept: number
  }
  readonly loadOverTime: {
    readonly interval: number
    /** Of each server; none when there are more than 64. */
    readonly perServer: readonly (readonly number[])[]
  }
  /** When the last connection arrived. */
  readonly duration: number
  /** How many events of the scenario happened before that. */
  readonly eventsReached: number
}

export interface ConnectionCounts {
  readonly total: number
  readonly served: number
  /** The scheduler found nobody. */
  readonly unscheduled: number
  /** The server's queue was full. */
  readonly refused: number
  /** The server was dead, and nobody had noticed. */
  readonly failed: number
  /** The server died meanwhile. */
  readonly cut: number
}

export interface ServerResult {
  readonly name: string
  /** At the end. */
  readonly weight: number
  readonly connections: number
  /** What the weights promise: of the connections that came while it was in the list. */
  readonly fair: number
  readonly served: number
  readonly refused: number
  readonly failed: number
  readonly cut: number
  /** Connections at it at a time, waiting ones included: highest, for all but 1 % of the time below, and mean. */
  readonly peakLoad: number
  readonly p99Load: number
  readonly meanLoad: number
  /** Of its capacity, the share that was busy; undefined without a limit. */
  readonly utilisation: number | undefined
}

/** undefined when there was nothing to compare. */
export interface Imbalance {
  readonly maxOverMean: number | undefined
  readonly cv: number | undefined
}

export interface Delays {
  readonly mean: number
  readonly p50: number
  readonly p90: number
  readonly p99: number
  readonly p999: number
  readonly max: number
}

export interface ChangeResult {
  readonly event: string
  readonly at: number
  readonly returning: number
  readonly moved: number
}

export const delaysOf = (histogram: Histogram): Delays => ({
  mean: histogram.mean,
  p50: histogram.quantile(0.5),
  p90: histogram.quantile(0.9),
  p99: histogram.quantile(0.99),
  p999: histogram.quantile(0.999),
  max: histogram.max,
})

/** Connections that got no answer, for whatever reason. */
export const rejected = ({ unscheduled, refused, failed, cut }: ConnectionCounts): number =>
  unscheduled + refused + failed + cut

/** Over all changes: clients that moved although their server lived, and those that could have. */
export const movedInAll = ({ changes }: SchedulerResult): { readonly returning: number; readonly moved: number } => ({
  returning: changes.reduce((sum, { returning }) => sum + returning, 0),
  moved: changes.reduce((sum, { moved }) => sum + moved, 0),
})

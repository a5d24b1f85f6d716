import type { Family } from '../model/ip.ts'
import type { ServiceKey } from '../model/names.ts'
import type { Port } from '../model/port.ts'
import type { Problem } from '../model/problem.ts'

/** `full` writes the whole state, `partial` only what changed. */
export type SyncKind = 'full' | 'partial'

/** Why the kernel had to be put right although no object changed. */
export type DriftReason = 'tableDeleted' | 'elementsChanged' | 'periodic'

/** Which part found a {@link Problem}. */
export type ProblemSource = 'source' | 'track' | 'desired' | 'backend' | 'healthCheck'

/** Milliseconds of each stage of one sync. */
export interface StageDurations {
  /** Objects to desired state. */
  readonly desiredMs: number
  /** Desired state to plan. */
  readonly planMs: number
  /** Plan to kernel. */
  readonly applyMs: number
}

/** What the healthCheckNodePort of one Service answers. */
export interface HealthCheck {
  readonly namespace: string
  readonly name: string
  readonly port: Port
  /** Ready endpoints of the event's family on this node, unique by IP. */
  readonly localEndpoints: number
}

/**
 * What the sync loop tells, by event name. Times named `at` are milliseconds since the epoch, durations are
 * milliseconds and may be fractions. Every sync ends what a `started` began with one `applied` or one `failed`.
 */
export interface SyncEvents {
  /** Once per family, before its first sync. From here on the family is part of the health status. */
  readonly loopStarted: { readonly family: Family; readonly at: number }
  /** A change is known that the kernel does not have yet. Repeats are cheap and welcome. */
  readonly queued: { readonly family: Family; readonly at: number }
  /** A sync begins. It carries everything queued so far; what is queued from here on waits for the next. */
  readonly started: { readonly family: Family; readonly kind: SyncKind; readonly at: number }
  /** A sync succeeded, also when there was nothing to write. */
  readonly applied: {
    readonly family: Family
    readonly kind: SyncKind
    readonly durationMs: number
    readonly stages: StageDurations
    /** last-change-trigger-time of every EndpointSlice change that this sync made real; milliseconds since the epoch. */
    readonly endpointTriggers: readonly number[]
    readonly added: number
    readonly removed: number
    /** Fixed chains, sets or rules were written, not only elements. */
    readonly structure: boolean
    /** Rules written, by table, of a backend whose rules follow the cluster. */
    readonly rulesWritten?: ReadonlyMap<string, number>
    readonly at: number
  }
  /** A sync failed; its changes wait for the retry. */
  readonly failed: {
    readonly family: Family
    readonly kind: SyncKind
    readonly durationMs: number
    /** The error's `code` and `op`: members of small fixed sets, never free text. */
    readonly code: string
    readonly op: string
    readonly message: string
    readonly at: number
    readonly retryInMs: number
  }
  /** The kernel differed from what was applied, and is right again. */
  readonly driftRepaired: {
    readonly family: Family
    readonly reason: DriftReason
    readonly added: number
    readonly removed: number
  }
  /** Service ports with policy Local, endpoints somewhere and none here. Sent when a count may have changed. */
  readonly noLocalEndpoints: { readonly family: Family; readonly internal: number; readonly external: number }
  /** Everything of ours in the kernel, by table, set or map name. What is missing from `counts` is gone. */
  readonly elements: { readonly family: Family; readonly counts: ReadonlyMap<string, number> }
  /** Changes of both families: how many wait now, and how many there have been since the process started. */
  readonly pendingChanges: {
    readonly services: number
    readonly endpoints: number
    readonly servicesTotal: number
    readonly endpointsTotal: number
  }
  readonly problem: { readonly problem: Problem; readonly source: ProblemSource }
  /** Services whose health check is new, changed, or gone (undefined). */
  readonly healthChecks: {
    readonly family: Family
    readonly changed: ReadonlyMap<ServiceKey, HealthCheck | undefined>
  }
  /** `seen`: the Node object has been seen. `eligible`: it takes traffic, i.e. it is not about to leave. */
  readonly nodeEligible: { readonly eligible: boolean; readonly seen: boolean }
  /** The connection tracking table was looked through for flows that lead to no endpoint. */
  readonly flowsReconciled: {
    readonly family: Family
    readonly durationMs: number
    readonly deleted: number
    readonly at: number
  }
  /** That failed, or some of it; what is stale stays until the retry. */
  readonly flowsFailed: {
    readonly family: Family
    readonly durationMs: number
    readonly deleted: number
    readonly code: string
    readonly op: string
    readonly message: string
    readonly retryInMs: number
    readonly at: number
  }
  /** Something stale could not be removed; it is tried again later. */
  readonly cleanupFailed: {
    readonly family: Family
    readonly code: string
    readonly op: string
    readonly message: string
    readonly at: number
  }
}

/** Who wants to know. Calls are synchronous and short; nothing an observer does may hold up or break the loop. */
export type SyncObserver = { readonly [Name in keyof SyncEvents]: (event: SyncEvents[Name]) => void }

const ignore = (): void => {}

export const noopObserver: SyncObserver = {
  loopStarted: ignore,
  queued: ignore,
  started: ignore,
  applied: ignore,
  failed: ignore,
  driftRepaired: ignore,
  noLocalEndpoints: ignore,
  elements: ignore,
  pendingChanges: ignore,
  problem: ignore,
  healthChecks: ignore,
  nodeEligible: ignore,
  flowsReconciled: ignore,
  flowsFailed: ignore,
  cleanupFailed: ignore,
}

/**
 * One observer that tells each of `observers`, in order. It never throws: what an observer throws goes to `onError`,
 * and the others still hear the event.
 */
export const combineObservers = (
  observers: readonly Partial<SyncObserver>[],
  onError: (cause: unknown, event: keyof SyncEvents) => void,
): SyncObserver => {
  const tell =
    <Name extends keyof SyncEvents>(name: Name) =>
    (event: SyncEvents[Name]): void => {
      for (const observer of observers) {
        try {
          observer[name]?.(event)
        } catch (cause) {
          onError(cause, name)
        }
      }
    }
  return {
    loopStarted: tell('loopStarted'),
    queued: tell('queued'),
    started: tell('started'),
    applied: tell('applied'),
    failed: tell('failed'),
    driftRepaired: tell('driftRepaired'),
    noLocalEndpoints: tell('noLocalEndpoints'),
    elements: tell('elements'),
    pendingChanges: tell('pendingChanges'),
    problem: tell('problem'),
    healthChecks: tell('healthChecks'),
    nodeEligible: tell('nodeEligible'),
    flowsReconciled: tell('flowsReconciled'),
    flowsFailed: tell('flowsFailed'),
    cleanupFailed: tell('cleanupFailed'),
  }
}

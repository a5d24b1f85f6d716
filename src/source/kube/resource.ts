import type { ModelChange } from '../../model/change.ts'
import type { Problem } from '../../model/problem.ts'
import type { ApiError } from './api-error.ts'
import type { ObjectName } from './known.ts'

/** An object as the server last showed it, or that it is gone. */
export type ObjectEvent =
  | { readonly kind: 'present'; readonly name: ObjectName; readonly json: unknown }
  | { readonly kind: 'gone'; readonly name: ObjectName }

export interface ObjectChanges {
  /** For an object that is present but no use to a proxy too: a change whose value is undefined. */
  readonly changes: readonly ModelChange[]
  readonly problems: readonly Problem[]
}

/** One collection of the API, and what its objects mean. */
export interface ResourceSpec {
  /** For people: `services`. */
  readonly name: string
  /** Of the collection in all namespaces: `/api/v1/services`. */
  readonly path: string
  readonly fieldSelector: string | undefined
  readonly labelSelector: string | undefined
  /** Servers may lack it, or not let us see it: then it counts as empty. */
  readonly optional: boolean
  toChanges(event: ObjectEvent): ObjectChanges
}

export interface ResourceStatus {
  /** A list has come in, whole, at least once. */
  readonly listed: boolean
  /** A watch is open right now. */
  readonly watching: boolean
  /** Objects known. */
  readonly objects: number
  /** When the server last told us anything, bookmarks included; milliseconds since the epoch. */
  readonly lastEventAt: number | undefined
  /** Lists after the first. */
  readonly relists: number
  /** Watches after the first. */
  readonly reconnects: number
  readonly errors: number
}

/** What happens between us and the API server, for the log. */
export type KubeEvent =
  | { readonly kind: 'listed'; readonly resource: string; readonly objects: number; readonly relist: boolean }
  /** The watch cannot go on from where it was: the collection is listed again. */
  | { readonly kind: 'relisting'; readonly resource: string; readonly error: ApiError; readonly retryMs: number }
  | { readonly kind: 'failed'; readonly resource: string; readonly error: ApiError; readonly retryMs: number }
  /** An optional resource that the server lacks or denies us. */
  | { readonly kind: 'absent'; readonly resource: string; readonly error: ApiError; readonly retryMs: number }
  /** Reading the credentials again failed; the previous ones are used on. */
  | { readonly kind: 'credentialsKept'; readonly error: ApiError }

import { assertNever } from '../../model/assert-never.ts'
import type { ApiErrorCode } from './api-error.ts'
import type { Query } from './client.ts'

/**
 * How fresh a list must be. Semantics of resourceVersion, resourceVersionMatch and limit:
 * https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions
 */
export type ListFrom =
  /**
   * Whatever the server holds in its watch cache (`resourceVersion=0`). It may be old, which is no harm for a first
   * list: the watch that follows catches up. Anything fresher would let a restart of all nodes at once hit etcd.
   * Servers that answer from the cache ignore the limit.
   */
  | { readonly kind: 'cache' }
  /**
   * At least what we have seen, so that time never runs backwards, and still from the cache: with a limit or without
   * the Match, servers would take such a list to etcd, or read it as "exactly this version".
   */
  | { readonly kind: 'notOlderThan'; readonly resourceVersion: string }
  /** A consistent read, for when the cache cannot help. */
  | { readonly kind: 'latest'; readonly paged: boolean }

const latestPaged: ListFrom = { kind: 'latest', paged: true }
const latestWhole: ListFrom = { kind: 'latest', paged: false }

const pageSize = '500'

export const listQuery = (from: ListFrom): Query => {
  switch (from.kind) {
    case 'cache':
      return { resourceVersion: '0', limit: pageSize }
    case 'notOlderThan':
      return { resourceVersion: from.resourceVersion, resourceVersionMatch: 'NotOlderThan' }
    case 'latest':
      return from.paged ? { limit: pageSize } : {}
    default:
      return assertNever(from, 'list')
  }
}

/** Of every page but the first. A resourceVersion beside a continue token is an error. */
export const nextPageQuery = (token: string): Query => ({ limit: pageSize, continue: token })

/**
 * How to list after a failed list; `from` itself when nothing else promises more.
 *
 * @param partial items of the failed list have been handed over: another server's cache may be older than they are
 */
export const listFromAfter = (from: ListFrom, code: ApiErrorCode, partial: boolean): ListFrom => {
  if (code === 'versionTooLarge') return latestPaged
  // A page that expired once may expire again in a large, slow cluster. A whole list cannot.
  if (code === 'expired') return from.kind === 'notOlderThan' ? latestPaged : latestWhole
  return partial && from.kind !== 'latest' ? latestPaged : from
}

import { isDeepStrictEqual } from 'node:util'
import { assertNever } from '../../model/assert-never.ts'
import type { ModelChange } from '../../model/change.ts'
import type { Problem } from '../../model/problem.ts'
import type { ManifestObject } from '../objects/read-objects.ts'

interface Claim {
  readonly path: string
  /** The object's place among those of its file. */
  readonly position: number
  readonly object: ManifestObject
}

export interface Difference {
  readonly changes: readonly ModelChange[]
  readonly problems: readonly Problem[]
  /** When an object that left the files will be taken as deleted; undefined when none is waiting. */
  readonly due: number | undefined
}

/**
 * Which file speaks for each object, and what the listener has been told. The first file by path wins. An object that is
 * in no file any more counts as deleted only after `settleMs`: a file that is being rewritten, renamed or moved lacks its
 * objects for a moment, and traffic must not.
 */
export class Claims {
  readonly #settleMs: number
  readonly #byId = new Map<string, Claim[]>()
  readonly #idsByPath = new Map<string, ReadonlySet<string>>()
  readonly #told = new Map<string, ModelChange>()
  readonly #leaving = new Map<string, number>()
  readonly #contested = new Map<string, ReadonlySet<string>>()
  readonly #dirty = new Set<string>()

  constructor(settleMs: number) {
    this.#settleMs = settleMs
  }

  /** From here on the file at `path` holds exactly these objects. */
  replace(path: string, objects: readonly ManifestObject[]): void {
    for (const id of this.#idsByPath.get(path) ?? []) {
      const rest = this.#byId.get(id)?.filter((claim) => claim.path !== path) ?? []
      if (rest.length === 0) this.#byId.delete(id)
      else this.#byId.set(id, rest)
      this.#dirty.add(id)
    }
    const ids = new Set<string>()
    objects.forEach((object, position) => {
      if (object.id === undefined) return
      ids.add(object.id)
      this.#dirty.add(object.id)
      const claims = this.#byId.get(object.id)
      if (claims === undefined) this.#byId.set(object.id, [{ path, position, object }])
      else claims.push({ path, position, object })
    })
    if (ids.size === 0) this.#idsByPath.delete(path)
    else this.#idsByPath.set(path, ids)
  }

  /** What has to be said since the last call. `now` in milliseconds, from a clock that never goes back. */
  difference(now: number): Difference {
    const deletions: ModelChange[] = []
    const updates: ModelChange[] = []
    const problems: Problem[] = []
    for (const id of this.#dirty) {
      const claims = this.#byId.get(id)?.sort(byPlace)
      this.#reportContest(id, claims ?? [], problems)
      const told = this.#told.get(id)
      const first = claims?.[0]
      if (first === undefined) {
        if (told !== undefined && !this.#leaving.has(id)) this.#leaving.set(id, now + this.#settleMs)
        continue
      }
      this.#leaving.delete(id)
      const { change } = first.object
      if (change !== undefined) {
        if (told === change || isDeepStrictEqual(told, change)) continue
        this.#told.set(id, change)
        updates.push(change)
      } else if (told !== undefined) deletions.push(this.#forget(id, told))
    }
    this.#dirty.clear()
    let due: number | undefined
    for (const [id, at] of this.#leaving) {
      const told = this.#told.get(id)
      if (at <= now) {
        this.#leaving.delete(id)
        if (told !== undefined) deletions.push(this.#forget(id, told))
      } else due = due === undefined ? at : Math.min(due, at)
    }
    return { changes: [...deletions, ...updates], problems, due }
  }

  #forget(id: string, told: ModelChange): ModelChange {
    this.#told.delete(id)
    return goneOf(told)
  }

  /** Says once who loses to whom. */
  #reportContest(id: string, [first, ...others]: readonly Claim[], problems: Problem[]): void {
    const reported = this.#contested.get(id)
    const losers = new Set<string>()
    for (const { path, object } of others) {
      const reason =
        path === first?.path
          ? `the object stands in ${path} more than once, so only the first is used`
          : `the object stands in ${first?.path} too, so the one in ${path} is not used`
      if (!losers.has(reason) && reported?.has(reason) !== true)
        problems.push({ object: object.ref, field: 'metadata.name', reason })
      losers.add(reason)
    }
    if (losers.size === 0) this.#contested.delete(id)
    else this.#contested.set(id, losers)
  }
}

const byPlace = (a: Claim, b: Claim): number => {
  if (a.path !== b.path) return a.path < b.path ? -1 : 1
  return a.position - b.position
}

const goneOf = (change: ModelChange): ModelChange => {
  switch (change.kind) {
    case 'service':
      return { kind: 'service', key: change.key, value: undefined }
    case 'slice':
      return { kind: 'slice', key: change.key, value: undefined }
    case 'node':
      return { kind: 'node', value: undefined }
    case 'serviceCidr':
      return { kind: 'serviceCidr', name: change.name, value: undefined }
    default:
      return assertNever(change, 'change')
  }
}

import type { ModelChange } from '../../model/change.ts'
import type { Problem } from '../../model/problem.ts'
import { type ObjectOptions, readObjects } from './read-objects.ts'

/** Everything in `json`, one object or a list of any kind, in its order. What a proxy has no use for gives no change. */
export const toChanges = (
  json: unknown,
  options: ObjectOptions,
): { readonly changes: readonly ModelChange[]; readonly problems: readonly Problem[] } => {
  const changes: ModelChange[] = []
  const problems: Problem[] = []
  for (const { change, problems: found } of readObjects(json, options)) {
    if (change !== undefined) changes.push(change)
    for (const problem of found) problems.push(problem)
  }
  return { changes, problems }
}

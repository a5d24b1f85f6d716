import type { ModelChange } from '../../model/change.ts'
import type { Problem } from '../../model/problem.ts'
import { Folder, rootsOf } from './folder.ts'
import type { ManifestOptions } from './manifest.ts'
import { ManifestStore } from './manifest-store.ts'

/** What the folders hold now. Rejects with a {@link SourceError} when a directory cannot be read. */
export const readOnce = async (
  directories: readonly string[],
  options: ManifestOptions,
  signal: AbortSignal,
): Promise<{ readonly changes: readonly ModelChange[]; readonly problems: readonly Problem[] }> => {
  signal.throwIfAborted()
  const store = new ManifestStore(options, 0)
  const folder = new Folder(rootsOf(directories), store, () => 0)
  await folder.refreshAll(() => undefined, signal)
  folder.requireRoots()
  const { changes, problems } = store.difference(0)
  return { changes, problems: [...problems, ...folder.takeProblems()] }
}

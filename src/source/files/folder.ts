import type { Stats } from 'node:fs'
import { stat } from 'node:fs/promises'
import { basename, dirname, resolve } from 'node:path'
import type { Problem } from '../../model/problem.ts'
import type { ManifestStore } from './manifest-store.ts'
import { isHidden, isManifestName, isMountLink } from './names.ts'
import { readText } from './read-text.ts'
import { type Scan, scan, type Visit } from './scan.ts'
import { directoryError, errorCode } from './source-error.ts'

/** Two writes within one tick of the file system's clock leave the same time behind: what is younger is read again. */
const settledMs = 2_000

/** Absolute, without repetition, in path order. */
export const rootsOf = (directories: readonly string[]): readonly string[] =>
  [...new Set(directories.map((directory) => resolve(directory)))].sort()

/** Brings a {@link ManifestStore} up to date with directories. */
export class Folder {
  readonly #roots: readonly string[]
  readonly #store: ManifestStore
  readonly #now: () => number
  readonly #stamps = new Map<string, string>()
  #last: Scan | undefined
  #failures = new Map<string, string>()

  /** `now` in milliseconds, from a clock that never goes back. */
  constructor(roots: readonly string[], store: ManifestStore, now: () => number) {
    this.#roots = roots
    this.#store = store
    this.#now = now
  }

  /** Looks at everything. Rejects when aborted, for nothing else. */
  async refreshAll(visit: Visit, signal: AbortSignal): Promise<Scan> {
    const found = await scan(this.#roots, visit, signal)
    this.#last = found
    for (const [path, stats] of found.files) {
      signal.throwIfAborted()
      const stamp = stampOf(stats)
      if (stamp === undefined || stamp !== this.#stamps.get(path)) await this.#read(path)
    }
    for (const path of this.#store.paths)
      if (!found.files.has(path) && !isUnder(path, found.failures)) this.#remove(path)
    return found
  }

  /** Looks at these paths only; false = that is not enough, because directories or links come or go. */
  async refresh(paths: ReadonlySet<string>, signal: AbortSignal): Promise<boolean> {
    const known = this.#last
    if (known === undefined) return false
    for (const path of paths) {
      signal.throwIfAborted()
      if (isHidden(basename(path))) {
        if (isMountLink(path)) return false
      } else if (known.directories.has(path) || known.targets.has(dirname(path)) || this.#roots.includes(path))
        return false
      else if (known.directories.has(dirname(path))) {
        const kind = await kindOf(path)
        if (kind === 'other') return false
        if (isManifestName(basename(path))) await this.#read(path)
      }
    }
    return true
  }

  /** Throws a {@link SourceError} when the last scan could not read one of the directories themselves. */
  requireRoots(): void {
    for (const root of this.#roots) {
      const error = this.#last?.failures.get(root)
      if (error !== undefined) throw directoryError(root, error)
    }
  }

  /** What could not be looked at in the last scan, as far as it was not known before. */
  takeProblems(): readonly Problem[] {
    const failures = new Map<string, string>()
    const problems: Problem[] = []
    for (const [path, error] of this.#last?.failures ?? []) {
      const code = errorCode(error)
      failures.set(path, code)
      if (this.#failures.get(path) === code) continue
      const kind = isManifestName(basename(path)) && !this.#roots.includes(path) ? 'File' : 'Directory'
      const reason = `cannot be read (${code}), so what was known of it stays in force`
      problems.push({ object: { kind, namespace: undefined, name: path }, field: 'content', reason })
    }
    this.#failures = failures
    return problems
  }

  async #read(path: string): Promise<void> {
    const found = await readText(path)
    switch (found.kind) {
      case 'gone':
        return this.#remove(path)
      case 'unusable':
        this.#stamps.delete(path)
        return this.#store.fail(path, found.reason, this.#now())
      default: {
        const stamp = stampOf(found.stats)
        if (stamp === undefined) this.#stamps.delete(path)
        else this.#stamps.set(path, stamp)
        return this.#store.put(path, found.text, this.#now())
      }
    }
  }

  #remove(path: string): void {
    this.#stamps.delete(path)
    this.#store.remove(path)
  }
}

/** Equal stamps mean equal content; undefined for a file that changed too short a time ago for that to be sure. */
const stampOf = ({ dev, ino, size, mtimeMs, ctimeMs }: Stats): string | undefined =>
  Date.now() - Math.max(mtimeMs, ctimeMs) < settledMs ? undefined : [dev, ino, size, mtimeMs, ctimeMs].join(' ')

const isUnder = (path: string, failures: ReadonlyMap<string, unknown>): boolean => {
  for (const failed of failures.keys()) if (path === failed || path.startsWith(`${failed}/`)) return true
  return false
}

const kindOf = async (path: string): Promise<'file' | 'gone' | 'other'> => {
  try {
    return (await stat(path)).isFile() ? 'file' : 'other'
  } catch (error) {
    return errorCode(error) === 'ENOENT' ? 'gone' : 'other'
  }
}

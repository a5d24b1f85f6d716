import type { Dirent, Stats } from 'node:fs'
import { readdir, realpath, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { isHidden, isManifestName } from './names.ts'
import { errorCode } from './source-error.ts'

/** Everything under the directories that concerns us. */
export interface Scan {
  /** Path → what `stat` said, in path order within each directory. */
  readonly files: ReadonlyMap<string, Stats>
  /** The directories walked through, by path. */
  readonly directories: ReadonlySet<string>
  /** The directories elsewhere that symbolic links to manifests lead to. */
  readonly targets: ReadonlySet<string>
  /** Directories and manifests that could not be looked at, and why. What is known of them, or below, stays valid. */
  readonly failures: ReadonlyMap<string, unknown>
}

/** Called for each directory whose events matter, before its entries are read: a watch set up here misses nothing. */
export type Visit = (directory: string, stats: Stats) => void

/** Walks the directories with all below them; symbolic links are followed, and a directory is walked through only once. */
export const scan = async (roots: readonly string[], visit: Visit, signal: AbortSignal): Promise<Scan> => {
  const walk = new Walk(visit, signal)
  for (const root of roots) await walk.root(root)
  return walk
}

class Walk implements Scan {
  readonly files = new Map<string, Stats>()
  readonly directories = new Set<string>()
  readonly targets = new Set<string>()
  readonly failures = new Map<string, unknown>()
  readonly #seen = new Set<string>()
  readonly #visit: Visit
  readonly #signal: AbortSignal

  constructor(visit: Visit, signal: AbortSignal) {
    this.#visit = visit
    this.#signal = signal
  }

  async root(path: string): Promise<void> {
    try {
      // A root that is replaced or comes back shows in its parent only.
      const parent = dirname(path)
      this.#visit(parent, await stat(parent))
      await this.#directory(path, await stat(path))
    } catch (error) {
      this.#signal.throwIfAborted()
      this.failures.set(path, error)
    }
  }

  async #directory(path: string, stats: Stats): Promise<void> {
    this.#signal.throwIfAborted()
    const identity = `${stats.dev}:${stats.ino}`
    if (this.#seen.has(identity)) return
    this.#visit(path, stats)
    const entries = await readdir(path, { withFileTypes: true })
    this.#seen.add(identity)
    this.directories.add(path)
    entries.sort((a, b) => (a.name < b.name ? -1 : 1))
    const wanted = entries.filter((entry) => !isHidden(entry.name) && mayMatter(entry))
    const found = await Promise.all(wanted.map((entry) => look(join(path, entry.name))))
    for (const [i, entry] of wanted.entries()) {
      const child = join(path, entry.name)
      const result = found[i]
      if (result?.stats?.isDirectory() === true) await this.#subdirectory(child, result.stats)
      else if (!isManifestName(entry.name)) continue
      else if (result?.stats === undefined) {
        const isGone = errorCode(result?.error) === 'ENOENT' && !entry.isSymbolicLink()
        if (!isGone) this.failures.set(child, result?.error)
      } else {
        this.files.set(child, result.stats)
        if (entry.isSymbolicLink()) await this.#target(child)
      }
    }
  }

  async #subdirectory(path: string, stats: Stats): Promise<void> {
    try {
      await this.#directory(path, stats)
    } catch (error) {
      this.#signal.throwIfAborted()
      if (errorCode(error) !== 'ENOENT') this.failures.set(path, error)
    }
  }

  /** A link's file can change without a sign in the directory of the link. */
  async #target(link: string): Promise<void> {
    try {
      const directory = dirname(await realpath(link))
      if (this.directories.has(directory) || this.targets.has(directory)) return
      this.targets.add(directory)
      this.#visit(directory, await stat(directory))
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') this.failures.set(link, error)
    }
  }
}

const mayMatter = (entry: Dirent): boolean =>
  entry.isDirectory() || entry.isSymbolicLink() || isManifestName(entry.name)

const look = async (path: string): Promise<{ readonly stats?: Stats; readonly error?: unknown }> => {
  try {
    return { stats: await stat(path) }
  } catch (error) {
    return { error }
  }
}

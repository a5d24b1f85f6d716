import { type Stats, watch } from 'node:fs'
import { basename, join } from 'node:path'
import type { Problem } from '../../model/problem.ts'
import type { Bell } from './bell.ts'
import { errorCode } from './source-error.ts'

/** What is needed of `fs.watch`. */
export interface Watcher {
  close(): void
  on(event: 'error', listener: (error: Error) => void): unknown
}

export type OpenWatch = (directory: string, listener: (event: string, name: string | null) => void) => Watcher

const openWatch: OpenWatch = (directory, listener) => watch(directory, { encoding: 'utf8' }, listener)

interface Watched {
  readonly watcher: Watcher
  readonly identity: string
}

/** An inotify watch for each directory. One that cannot be watched is reported once, and has to be polled. */
export class Watches {
  readonly #bell: Bell
  readonly #open: OpenWatch
  readonly #report: (problem: Problem) => void
  readonly #watched = new Map<string, Watched>()
  readonly #failed = new Map<string, string>()

  constructor(bell: Bell, report: (problem: Problem) => void, open: OpenWatch = openWatch) {
    this.#bell = bell
    this.#report = report
    this.#open = open
  }

  /** True while an event is certain to come for every change. */
  get complete(): boolean {
    return this.#failed.size === 0
  }

  /** Watches the directory, or watches it anew when another one stands at its path. */
  add(directory: string, stats: Stats): void {
    const identity = `${stats.dev}:${stats.ino}`
    if (this.#watched.get(directory)?.identity === identity) return
    this.#drop(directory)
    try {
      const watcher = this.#open(directory, (_event, name) => {
        // When the directory itself goes, the event bears its own name.
        this.#bell.ring(name === null || name === basename(directory) ? undefined : join(directory, name))
      })
      this.#watched.set(directory, { watcher, identity })
      this.#failed.delete(directory)
      watcher.on('error', (error) => {
        this.#drop(directory)
        this.#fail(directory, error)
        this.#bell.ring()
      })
    } catch (error) {
      this.#fail(directory, error)
    }
  }

  /** Stops watching all others. */
  retain(directories: ReadonlySet<string>): void {
    for (const directory of this.#watched.keys()) if (!directories.has(directory)) this.#drop(directory)
    for (const directory of this.#failed.keys()) if (!directories.has(directory)) this.#failed.delete(directory)
  }

  close(): void {
    this.retain(new Set())
  }

  #drop(directory: string): void {
    this.#watched.get(directory)?.watcher.close()
    this.#watched.delete(directory)
  }

  #fail(directory: string, error: unknown): void {
    const code = errorCode(error)
    if (this.#failed.get(directory) === code) return
    this.#failed.set(directory, code)
    const object = { kind: 'Directory', namespace: undefined, name: directory }
    this.#report({
      object,
      field: 'watch',
      reason: `cannot be watched (${code}), so it is looked through again and again`,
    })
  }
}

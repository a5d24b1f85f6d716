import type { Stats } from 'node:fs'
import { performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ChangeSink } from '../../model/change.ts'
import type { Source } from '../source.ts'
import { Bell } from './bell.ts'
import { Folder, rootsOf } from './folder.ts'
import type { ManifestOptions } from './manifest.ts'
import { ManifestStore } from './manifest-store.ts'
import type { Scan } from './scan.ts'
import { type OpenWatch, Watches } from './watches.ts'

/** All in milliseconds. */
export interface FileTiming {
  /** How long to wait after an event for those that belong to it. */
  readonly debounceMs: number
  /** How long an object must be gone, or a file broken, before that is believed. */
  readonly settleMs: number
  /** How often to look while something cannot be watched or read. */
  readonly pollMs: number
  /** How often to look although every change should have brought an event: some file systems send none. */
  readonly rescanMs: number
}

const defaultTiming: FileTiming = { debounceMs: 3, settleMs: 100, pollMs: 500, rescanMs: 30_000 }

export interface FileSourceOptions extends ManifestOptions {
  readonly directories: readonly string[]
  readonly timing?: Partial<FileTiming>
  /** Stands in for `fs.watch`. */
  readonly openWatch?: OpenWatch
}

/**
 * Folders of manifests (`*.yaml`, `*.yml`, `*.json`, sub-folders included) in place of a cluster. Each change of a file
 * reaches the sink as the difference it makes. `run` rejects with a {@link SourceError} when a directory cannot be read
 * at the start; one that goes away later leaves its objects in force until it is back.
 */
export const createFileSource = (options: FileSourceOptions): Source => ({
  run: async (sink, signal) => {
    if (signal.aborted) return
    const session = new Session(options, sink, signal)
    try {
      await session.start()
      while (!signal.aborted) await session.next()
    } catch (error) {
      if (!signal.aborted) throw error
    } finally {
      session.close()
    }
  },
})

class Session {
  readonly #sink: ChangeSink
  readonly #signal: AbortSignal
  readonly #timing: FileTiming
  readonly #bell = new Bell()
  readonly #store: ManifestStore
  readonly #folder: Folder
  readonly #watches: Watches
  #heard = 0
  /** When something that was held back is due. */
  #tellAt = 0
  #scanAt = 0

  constructor(options: FileSourceOptions, sink: ChangeSink, signal: AbortSignal) {
    this.#sink = sink
    this.#signal = signal
    this.#timing = { ...defaultTiming, ...options.timing }
    this.#store = new ManifestStore(options, this.#timing.settleMs)
    this.#folder = new Folder(rootsOf(options.directories), this.#store, () => performance.now())
    this.#watches = new Watches(this.#bell, (problem) => sink.problem(problem), options.openWatch)
  }

  async start(): Promise<void> {
    await this.#scan()
    this.#folder.requireRoots()
    this.#tell()
    this.#sink.synced()
  }

  /** Waits for something to happen, and says what it changed. */
  async next(): Promise<void> {
    await this.#bell.wait(Math.max(0, Math.min(this.#tellAt, this.#scanAt) - performance.now()), this.#signal)
    if (this.#signal.aborted) return
    await this.#quiet()
    const ringing = this.#bell.take()
    const isEnough =
      ringing.kind === 'paths' &&
      performance.now() < this.#scanAt &&
      (await this.#folder.refresh(ringing.paths, this.#signal))
    if (!isEnough) await this.#scan()
    this.#tell()
  }

  close(): void {
    this.#watches.close()
  }

  async #scan(): Promise<Scan> {
    const wanted = new Set<string>()
    const visit = (directory: string, stats: Stats): void => {
      wanted.add(directory)
      this.#watches.add(directory, stats)
    }
    const found = await this.#folder.refreshAll(visit, this.#signal)
    this.#watches.retain(wanted)
    const isHealthy = this.#watches.complete && found.failures.size === 0
    this.#scanAt = performance.now() + (isHealthy ? this.#timing.rescanMs : this.#timing.pollMs)
    return found
  }

  /** Until the events stop coming, within reason: a write is several events, and a file is best read when it is whole. */
  async #quiet(): Promise<void> {
    const { debounceMs } = this.#timing
    const end = performance.now() + 5 * debounceMs
    let heard = this.#heard
    while (heard !== this.#bell.count && performance.now() < end) {
      heard = this.#bell.count
      await sleep(debounceMs)
    }
    this.#heard = this.#bell.count
  }

  #tell(): void {
    const { changes, problems, due } = this.#store.difference(performance.now())
    if (changes.length > 0) this.#sink.changes(changes)
    for (const problem of problems) this.#sink.problem(problem)
    for (const problem of this.#folder.takeProblems()) this.#sink.problem(problem)
    this.#tellAt = due ?? Number.POSITIVE_INFINITY
  }
}

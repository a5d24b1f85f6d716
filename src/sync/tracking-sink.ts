import type { ChangeSink, ModelChange } from '../model/change.ts'
import type { Problem } from '../model/problem.ts'
import type { Tracker } from '../track/tracker.ts'
import type { SyncObserver } from './events.ts'

export interface TrackingSinkOptions {
  readonly tracker: Tracker
  readonly observer: SyncObserver
  /** Something changed after the caches were full. */
  readonly changed: (batch: readonly ModelChange[]) => void
}

/** Between a source and the loop: keeps the tracker up to date, and lets nothing be written before all caches are full. */
export class TrackingSink implements ChangeSink {
  readonly #options: TrackingSinkOptions
  #resolve: () => void = () => {}
  /** Resolves when the source has filled every cache. */
  readonly ready: Promise<void>
  #synced = false

  constructor(options: TrackingSinkOptions) {
    this.#options = options
    this.ready = new Promise((resolve) => {
      this.#resolve = resolve
    })
  }

  changes(batch: readonly ModelChange[]): void {
    const { tracker, changed, observer } = this.#options
    for (const problem of tracker.apply(batch)) observer.problem({ problem, source: 'track' })
    this.#reportNode(batch)
    if (this.#synced) changed(batch)
  }

  synced(): void {
    if (this.#synced) return
    this.#synced = true
    this.#resolve()
  }

  problem(problem: Problem): void {
    this.#options.observer.problem({ problem, source: 'source' })
  }

  #reportNode(batch: readonly ModelChange[]): void {
    for (const change of batch) {
      if (change.kind !== 'node') continue
      const node = change.value
      this.#options.observer.nodeEligible({ seen: true, eligible: node !== undefined && !node.leaving })
    }
  }
}

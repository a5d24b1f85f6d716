import type { ChangeSink, ModelChange } from '../../../src/model/change.ts'
import type { Problem } from '../../../src/model/problem.ts'

/** A sink that keeps the state that the changes amount to, and everything that was handed over. */
export class RecordingSink implements ChangeSink {
  readonly batches: (readonly ModelChange[])[] = []
  readonly problems: Problem[] = []
  readonly state = new Map<string, unknown>()
  /** Values that were handed over twice for one object. */
  readonly repeated: string[] = []
  syncedCalls = 0
  /** The state when `synced` was called. */
  syncedState: ReadonlyMap<string, unknown> | undefined
  readonly #seen = new Set<string>()

  changes(batch: readonly ModelChange[]): void {
    this.batches.push(batch)
    for (const change of batch) {
      const id = idOf(change)
      if (change.value === undefined) {
        if (!this.state.delete(id)) this.repeated.push(`${id} was taken back but never given`)
        continue
      }
      const text = `${id} ${JSON.stringify(change.value)}`
      if (this.#seen.has(text)) this.repeated.push(text)
      this.#seen.add(text)
      this.state.set(id, change.value)
    }
  }

  synced(): void {
    this.syncedCalls++
    this.syncedState ??= new Map(this.state)
  }

  problem(problem: Problem): void {
    this.problems.push(problem)
  }

  keys(): readonly string[] {
    return [...this.state.keys()].sort()
  }

  /** All changes in their order: `+key` and `-key`. */
  log(): readonly string[] {
    return this.batches.flat().map((change) => `${change.value === undefined ? '-' : '+'}${idOf(change)}`)
  }
}

export const idOf = (change: ModelChange): string => {
  switch (change.kind) {
    case 'service':
    case 'slice':
      return `${change.kind} ${change.key}`
    case 'node':
      return 'node'
    case 'serviceCidr':
      return `serviceCidr ${change.name}`
  }
}

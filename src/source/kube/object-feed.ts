import type { ChangeSink, ModelChange } from '../../model/change.ts'
import type { ApiObject } from './api-object.ts'
import { KnownObjects, type ObjectName } from './known.ts'
import type { ResourceSpec } from './resource.ts'

/** Hands a sink what is new in lists and watch events: no version of an object twice, and only what it had taken back. */
export class ObjectFeed {
  readonly #spec: ResourceSpec
  readonly #sink: Pick<ChangeSink, 'changes' | 'problem'>
  readonly #known = new KnownObjects()
  #partial = false

  constructor(spec: ResourceSpec, sink: Pick<ChangeSink, 'changes' | 'problem'>) {
    this.#spec = spec
    this.#sink = sink
  }

  get size(): number {
    return this.#known.size
  }

  /** Since {@link beginList}, a list has brought something, but has not come to its end. */
  get partial(): boolean {
    return this.#partial
  }

  beginList(): void {
    this.#known.beginList()
    this.#partial = false
  }

  /** Some objects of the list. */
  listed(objects: readonly ApiObject[]): void {
    this.#partial = true
    this.#handOver(objects.flatMap((object) => this.#changesOf(object)))
  }

  /** The list is complete: what it did not hold is gone. */
  endList(): void {
    this.#partial = false
    this.#forget([...this.#known.unlisted()])
  }

  /** The collection does not exist any more. */
  clear(): void {
    this.beginList()
    this.endList()
  }

  present(object: ApiObject): void {
    this.#handOver(this.#changesOf(object))
  }

  gone(object: ApiObject): void {
    this.#forget([object])
  }

  #changesOf(object: ApiObject): readonly ModelChange[] {
    if (this.#known.isKnown(object)) return []
    const { changes, problems } = this.#spec.toChanges({ kind: 'present', name: object, json: object.json })
    for (const problem of problems) this.#sink.problem(problem)
    const handed = changes.some(({ value }) => value !== undefined)
    // Nothing to take back: most objects that are no use to a proxy never were.
    const isNews = handed || this.#known.wasHanded(object)
    this.#known.set(object, handed)
    return isNews ? changes : []
  }

  #forget(names: readonly ObjectName[]): void {
    const handed = names.filter((name) => this.#known.delete(name))
    this.#handOver(handed.flatMap((name) => this.#spec.toChanges({ kind: 'gone', name }).changes))
  }

  #handOver(batch: readonly ModelChange[]): void {
    if (batch.length > 0) this.#sink.changes(batch)
  }
}

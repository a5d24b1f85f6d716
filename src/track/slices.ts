import type { EndpointSlice } from '../model/endpoint-slice.ts'
import type { ServiceKey, SliceKey } from '../model/names.ts'
import { sameSlice } from './equal.ts'

const none: readonly EndpointSlice[] = []

/** What became of one slice. `before` and `after` name the Services that lost and got its endpoints. */
export type SliceOutcome =
  | { readonly kind: 'unchanged' }
  | { readonly kind: 'changed'; readonly before: EndpointSlice | undefined; readonly after: EndpointSlice | undefined }

const unchanged: SliceOutcome = { kind: 'unchanged' }

/** Every EndpointSlice by its own key and by its Service's. The slices themselves are shared, never copied. */
export class SliceIndex {
  readonly #byKey = new Map<SliceKey, EndpointSlice>()
  /** Sorted by slice key; a Service without slices has no entry. */
  readonly #byService = new Map<ServiceKey, EndpointSlice[]>()

  get size(): number {
    return this.#byKey.size
  }

  /** The slices of a Service, both families, ordered by key. The list changes with the next `put`: look, do not keep. */
  of(service: ServiceKey): readonly EndpointSlice[] {
    return this.#byService.get(service) ?? none
  }

  put(key: SliceKey, after: EndpointSlice | undefined): SliceOutcome {
    const before = this.#byKey.get(key)
    if (before === undefined && after === undefined) return unchanged
    if (before !== undefined && before.service !== after?.service) this.#unlink(before)
    if (after === undefined) {
      this.#byKey.delete(key)
      return { kind: 'changed', before, after }
    }
    this.#byKey.set(key, after)
    this.#link(after)
    return before !== undefined && sameSlice(before, after) ? unchanged : { kind: 'changed', before, after }
  }

  #link(slice: EndpointSlice): void {
    const list = this.#byService.get(slice.service)
    if (list === undefined) {
      this.#byService.set(slice.service, [slice])
      return
    }
    const at = position(list, slice.key)
    list.splice(at, list[at]?.key === slice.key ? 1 : 0, slice)
  }

  #unlink(slice: EndpointSlice): void {
    const list = this.#byService.get(slice.service)
    if (list === undefined) return
    const at = position(list, slice.key)
    if (list[at]?.key === slice.key) list.splice(at, 1)
    if (list.length === 0) this.#byService.delete(slice.service)
  }
}

/** Where `key` is or belongs. */
const position = (list: readonly EndpointSlice[], key: SliceKey): number => {
  let low = 0
  let high = list.length
  while (low < high) {
    const middle = (low + high) >>> 1
    const at = list[middle]
    if (at !== undefined && at.key < key) low = middle + 1
    else high = middle
  }
  return low
}

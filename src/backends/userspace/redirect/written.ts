import { assertNever } from '../../../model/assert-never.ts'
import type { ServicePortId } from '../../../model/names.ts'
import { type ElementValue, elementId, type RedirectElement } from './elements.ts'
import type { SetName } from './schema.ts'
import { refuseChain } from './structure.ts'

/** An element in nft's words. `value` undefined: a set's. */
export interface WrittenElement {
  readonly set: SetName
  readonly key: string
  readonly value: string | undefined
}

/** Where a listener was found to listen, `192.0.2.10 . 40123`; undefined: nowhere. */
export type SocketOf = (listener: string) => string | undefined

const withoutSocket: Partial<Record<SetName, SetName>> = {
  services: 'refused-services',
  nodeports: 'refused-nodeports',
  'outside-services': 'outside-refused-services',
  'outside-nodeports': 'outside-refused-nodeports',
}

/** What leads to a listener that could not be opened is refused, like what has no endpoints. */
export const written = (element: RedirectElement, socketOf: SocketOf): WrittenElement => {
  const { set, key, value } = element
  if (value === undefined) return { set, key, value: undefined }
  if (value.kind !== 'listener') return { set, key, value: verdictText(value) }
  const socket = socketOf(value.id)
  if (socket !== undefined) return { set, key, value: socket }
  return { set: withoutSocket[set] ?? set, key, value: verdictText({ kind: 'refuse' }) }
}

const verdictText = (value: Exclude<ElementValue, { kind: 'listener' }>): string => {
  switch (value.kind) {
    case 'refuse':
      return `goto ${refuseChain}`
    case 'drop':
      return 'drop'
    default:
      return assertNever(value, 'verdict')
  }
}

export interface ElementChange {
  readonly removed: readonly WrittenElement[]
  readonly added: readonly WrittenElement[]
}

interface Counted {
  readonly element: WrittenElement
  readonly uses: number
}

/**
 * The elements of the table in the kernel, by the service port that asked for them. Several may ask for the same one,
 * which goes when its last user goes. {@link change} looks ahead; {@link accept} makes it so, once the kernel has it.
 */
export class WrittenTable {
  readonly #byService = new Map<ServicePortId, readonly WrittenElement[]>()
  readonly #all = new Map<string, Counted>()
  readonly #counts = new Map<string, number>()

  /** What has to go and come so that each of these service ports has exactly these elements. */
  change(services: ReadonlyMap<ServicePortId, readonly WrittenElement[]>): ElementChange {
    const next = this.#usesAfter(services)
    const removed: WrittenElement[] = []
    const added: WrittenElement[] = []
    for (const [id, after] of next) {
      const before = this.#all.get(id)
      const same = before !== undefined && after.uses > 0 && before.element.value === after.element.value
      if (same) continue
      if (before !== undefined) removed.push(before.element)
      if (after.uses > 0) added.push(after.element)
    }
    return { removed, added }
  }

  accept(services: ReadonlyMap<ServicePortId, readonly WrittenElement[]>): void {
    for (const [id, counted] of this.#usesAfter(services)) {
      const { set } = counted.element
      const step = Number(counted.uses > 0) - Number(this.#all.has(id))
      if (step !== 0) this.#counts.set(set, (this.#counts.get(set) ?? 0) + step)
      if (counted.uses > 0) this.#all.set(id, counted)
      else this.#all.delete(id)
    }
    for (const [service, elements] of services) {
      if (elements.length === 0) this.#byService.delete(service)
      else this.#byService.set(service, elements)
    }
  }

  *elements(): Generator<WrittenElement> {
    for (const { element } of this.#all.values()) yield element
  }

  /** By set. */
  counts(): ReadonlyMap<string, number> {
    return this.#counts
  }

  #usesAfter(services: ReadonlyMap<ServicePortId, readonly WrittenElement[]>): ReadonlyMap<string, Counted> {
    const next = new Map<string, Counted>()
    const count = (element: WrittenElement, step: 1 | -1): void => {
      const id = elementId(element)
      const known = next.get(id) ?? this.#all.get(id)
      next.set(id, { element: step > 0 ? element : (known?.element ?? element), uses: (known?.uses ?? 0) + step })
    }
    for (const [service, elements] of services) {
      for (const element of this.#byService.get(service) ?? []) count(element, -1)
      for (const element of elements) count(element, 1)
    }
    return next
  }
}

import type { ResourceName } from './resources.ts'

export type Verb = 'list' | 'watch'

/** What goes wrong with one request, instead of its answer or (slow, cut) to it. */
export type Fault =
  | { readonly kind: 'status'; readonly code: number; readonly retryAfter?: number }
  /** The answer comes after this many milliseconds. */
  | { readonly kind: 'slow'; readonly ms: number }
  /** The request is taken and never answered. */
  | { readonly kind: 'silence' }
  /** The connection breaks instead of an answer. */
  | { readonly kind: 'drop' }
  /** The connection breaks in the middle of a list. */
  | { readonly kind: 'cut' }
  /** Status 200, and a page of HTML, as from a captive portal. */
  | { readonly kind: 'html' }

/** Which requests a fault meets; undefined = any. */
export interface FaultScope {
  readonly resource?: ResourceName
  readonly verb?: Verb
  /** How many requests; 1 unless said otherwise. */
  readonly times?: number
}

/** The faults that are due, oldest first. */
export class Faults {
  #due: { readonly fault: Fault; readonly scope: FaultScope; left: number }[] = []

  add(fault: Fault, scope: FaultScope): void {
    this.#due.push({ fault, scope, left: scope.times ?? 1 })
  }

  clear(): void {
    this.#due = []
  }

  /** The fault that this request meets, which is thereby used up once. */
  take(resource: ResourceName, verb: Verb): Fault | undefined {
    const hit = this.#due.find(
      ({ scope }) => (scope.resource ?? resource) === resource && (scope.verb ?? verb) === verb,
    )
    if (hit === undefined) return undefined
    hit.left--
    if (hit.left <= 0) this.#due = this.#due.filter((each) => each !== hit)
    return hit.fault
  }
}

import { type Family, familyOf, type IP } from '../../model/ip.ts'
import type { ObjectRef, Problem } from '../../model/problem.ts'
import { parseAddress } from './address.ts'
import { type Fields, fields, isUnset, quote } from './fields.ts'

const empty: readonly never[] = Object.freeze([])

/**
 * A place inside an object: reads the fields there and reports what it cannot use. A field's name is put together only
 * when something is wrong with it, so that a place per endpoint costs next to nothing.
 */
export class Place {
  readonly object: ObjectRef
  /** Shared by all places of one object. */
  readonly problems: Problem[]
  readonly #path: string
  readonly #index: number

  constructor(object: ObjectRef, problems: Problem[] = [], path = '', index = -1) {
    this.object = object
    this.problems = problems
    this.#path = path
    this.#index = index
  }

  /** The place under `path`, which starts at the root of the object. */
  at(path: string): Place {
    return new Place(this.object, this.problems, path)
  }

  /** One item of the list under `path`, which starts at the root of the object. */
  item(path: string, index: number): Place {
    return new Place(this.object, this.problems, path, index)
  }

  /** `field` '' means the place itself. */
  problem(field: string, reason: string): void {
    const here = this.#index < 0 ? this.#path : `${this.#path}[${this.#index}]`
    const dot = here === '' || field === '' || field.startsWith('[') ? '' : '.'
    this.problems.push({ object: this.object, field: `${here}${dot}${field}`, reason })
  }

  text(field: string, value: unknown): string | undefined {
    if (typeof value === 'string') return value
    if (!isUnset(value)) this.problem(field, `${quote(value)} is not text, so it counts as not set`)
    return undefined
  }

  flag(field: string, value: unknown, otherwise: boolean): boolean {
    if (typeof value === 'boolean') return value
    if (!isUnset(value)) this.problem(field, `${quote(value)} is neither true nor false, so ${otherwise} is used`)
    return otherwise
  }

  map<Name extends string>(field: string, value: unknown): Fields<Name> | undefined {
    const found = fields<Name>(value)
    if (found === undefined && !isUnset(value))
      this.problem(field, `${quote(value)} is not a map, so it counts as empty`)
    return found
  }

  list(field: string, value: unknown): readonly unknown[] {
    if (Array.isArray(value)) return value
    if (!isUnset(value)) this.problem(field, `${quote(value)} is not a list, so it counts as empty`)
    return empty
  }

  choice<T extends string>(field: string, value: unknown, choices: readonly T[], otherwise: T): T {
    if (isUnset(value) || value === '') return otherwise
    const found = choices.find((choice) => choice === value)
    if (found !== undefined) return found
    this.problem(field, `${quote(value)} is not one of ${choices.join(', ')}, so ${otherwise} is used`)
    return otherwise
  }

  /** An address of either family, or of `family` only. */
  address(field: string, value: unknown, family?: Family): IP | undefined {
    const ip = typeof value === 'string' ? parseAddress(value) : undefined
    if (ip === undefined) this.problem(field, `${quote(value)} is not an IP address, so it is left out`)
    else if (family !== undefined && familyOf(ip) !== family) {
      this.problem(field, `${quote(value)} is not an ${family} address, so it is left out`)
      return undefined
    }
    return ip
  }
}

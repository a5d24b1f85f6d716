import { type Document, isAlias, isMap, isScalar, isSeq, type LineCounter, type Node, type Pair } from 'yaml'
import { parseDuration } from './duration.ts'
import type { ScenarioIssue } from './simulate-error.ts'

/** What is known while a file is read. */
export interface Reading {
  readonly document: Document
  readonly lines: LineCounter
  readonly issues: ScenarioIssue[]
}

export interface Range {
  readonly min: number
  readonly max: number
}

/** A node of the file with its place. What is wrong is added to the issues, and the reader goes on with undefined. */
export class Field {
  readonly path: string
  readonly line: number | undefined
  readonly #reading: Reading
  readonly #node: unknown

  constructor(reading: Reading, node: unknown, path: string, line: number | undefined) {
    this.#reading = reading
    this.#node = isAlias(node) ? node.resolve(reading.document) : node
    this.path = path
    this.line = lineOf(reading, node) ?? line
  }

  wrong(reason: string): undefined {
    this.#reading.issues.push({ line: this.line, field: this.path, reason })
    return undefined
  }

  get isMapping(): boolean {
    return isMap(this.#node)
  }

  /** The fields of a mapping. Those with other names are wrong, and so is anything but a mapping. */
  mapping(known: readonly string[]): Mapping {
    const fields = new Map<string, Field>()
    if (!isMap(this.#node)) {
      this.wrong(`must be a mapping with ${known.join(', ')}, not ${this.shown()}`)
      return new Mapping(this, fields)
    }
    for (const pair of this.#node.items) this.#member(pair, known, fields)
    return new Mapping(this, fields)
  }

  #member({ key, value }: Pair, known: readonly string[], into: Map<string, Field>): void {
    const name = isScalar(key) ? String(key.value) : '?'
    const line = lineOf(this.#reading, key) ?? this.line
    const field = new Field(this.#reading, value, this.path === '' ? name : `${this.path}.${name}`, line)
    if (!known.includes(name)) field.#wrongAt(line, `unknown field; known are ${known.join(', ')}`)
    else if (field.#isNothing) field.#wrongAt(line, 'has no value')
    else into.set(name, field)
  }

  #wrongAt(line: number | undefined, reason: string): void {
    this.#reading.issues.push({ line, field: this.path, reason })
  }

  get #isNothing(): boolean {
    return this.#node === null || this.#node === undefined || (isScalar(this.#node) && this.#node.value === null)
  }

  list(): readonly Field[] | undefined {
    if (isSeq(this.#node))
      return this.#node.items.map((item, i) => new Field(this.#reading, item, `${this.path}[${i}]`, this.line))
    return this.wrong(`must be a list, not ${this.shown()}`)
  }

  text(): string | undefined {
    const value = this.#value
    if (typeof value === 'string' && value !== '') return value
    // A name such as 1 is a number to YAML.
    if (typeof value === 'number' && isScalar(this.#node) && this.#node.source !== undefined) return this.#node.source
    return this.wrong(`must be text, not ${this.shown()}`)
  }

  flag(): boolean | undefined {
    const value = this.#value
    return typeof value === 'boolean' ? value : this.wrong(`must be true or false, not ${this.shown()}`)
  }

  number({ min, max }: Range): number | undefined {
    const value = this.#value
    if (typeof value === 'number' && value >= min && value <= max) return value
    return this.wrong(`must be a number from ${min} to ${max}, not ${this.shown()}`)
  }

  whole({ min, max }: Range): number | undefined {
    const value = this.#value
    if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value
    return this.wrong(`must be a whole number from ${min} to ${max}, not ${this.shown()}`)
  }

  /** Seconds. `min` and `max` too. */
  duration({ min, max }: Range): number | undefined {
    const value = this.#value
    const seconds = typeof value === 'string' ? parseDuration(value) : value === 0 ? 0 : undefined
    if (seconds === undefined)
      return this.wrong(`must be a duration with its unit, such as 250us, 10ms, 1.5s or 2m, not ${this.shown()}`)
    if (seconds >= min && seconds <= max) return seconds
    return this.wrong(`must be a duration from ${min} s to ${max} s, not ${this.shown()}`)
  }

  choice<T extends string>(among: readonly T[]): T | undefined {
    const value = this.#value
    return among.find((one) => one === value) ?? this.wrong(`must be one of ${among.join(', ')}, not ${this.shown()}`)
  }

  /** As written, for messages. */
  shown(): string {
    if (isMap(this.#node)) return 'a mapping'
    if (isSeq(this.#node)) return 'a list'
    if (this.#isNothing || !isScalar(this.#node)) return 'nothing'
    const { source, value } = this.#node
    const text = typeof value === 'string' ? JSON.stringify(value) : (source ?? String(value))
    return text.length > 60 ? `${text.slice(0, 57)}…` : text
  }

  get #value(): unknown {
    return isScalar(this.#node) ? this.#node.value : undefined
  }
}

/** The fields of a mapping that were given, by name. */
export class Mapping {
  readonly field: Field
  readonly #fields: ReadonlyMap<string, Field>

  constructor(field: Field, fields: ReadonlyMap<string, Field>) {
    this.field = field
    this.#fields = fields
  }

  get(name: string): Field | undefined {
    return this.#fields.get(name)
  }

  /** A field that must be given; says so when it is not. */
  need(name: string): Field | undefined {
    const field = this.#fields.get(name)
    if (field === undefined && this.field.isMapping) this.field.wrong(`${name} is missing`)
    return field
  }

  get names(): readonly string[] {
    return [...this.#fields.keys()]
  }
}

const lineOf = ({ lines }: Reading, node: unknown): number | undefined => {
  const start = isNode(node) ? node.range?.[0] : undefined
  return start === undefined ? undefined : lines.linePos(start).line
}

const isNode = (node: unknown): node is Node => typeof node === 'object' && node !== null && 'range' in node

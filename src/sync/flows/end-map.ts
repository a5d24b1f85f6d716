import type { FlowEnd } from '../../model/flow.ts'

interface Slot<V> {
  readonly end: FlowEnd
  value: V
  next: Slot<V> | undefined
}

/** A map by address and port. To look something up makes no object: 100,000 entries of conntrack are looked up at a time. */
export class EndMap<V> {
  readonly #slots = new Map<number, Slot<V>>()

  constructor(entries: Iterable<readonly [FlowEnd, V]> = []) {
    for (const [end, value] of entries) this.set(end, value)
  }

  get(end: FlowEnd): V | undefined {
    return this.#find(end.w0, end.w1, end.w2, end.w3, end.port)?.value
  }

  has(end: FlowEnd): boolean {
    return this.#find(end.w0, end.w1, end.w2, end.w3, end.port) !== undefined
  }

  /** With `port` in place of that of `end`. */
  hasAt(end: FlowEnd, port: number): boolean {
    return this.#find(end.w0, end.w1, end.w2, end.w3, port) !== undefined
  }

  /** Of the address that is all zeros. */
  getAnywhere(port: number): V | undefined {
    return this.#find(0, 0, 0, 0, port)?.value
  }

  set(end: FlowEnd, value: V): void {
    const slot = this.#find(end.w0, end.w1, end.w2, end.w3, end.port)
    if (slot !== undefined) {
      slot.value = value
      return
    }
    const key = hash(end.w0, end.w1, end.w2, end.w3, end.port)
    this.#slots.set(key, { end, value, next: this.#slots.get(key) })
  }

  delete(end: FlowEnd): void {
    const found = this.#find(end.w0, end.w1, end.w2, end.w3, end.port)
    if (found === undefined) return
    const key = hash(end.w0, end.w1, end.w2, end.w3, end.port)
    const first = this.#slots.get(key)
    if (first === found) {
      if (found.next === undefined) this.#slots.delete(key)
      else this.#slots.set(key, found.next)
      return
    }
    for (let slot = first; slot !== undefined; slot = slot.next) if (slot.next === found) slot.next = found.next
  }

  get empty(): boolean {
    return this.#slots.size === 0
  }

  *[Symbol.iterator](): Generator<readonly [FlowEnd, V]> {
    for (const first of [...this.#slots.values()])
      for (let slot: Slot<V> | undefined = first; slot !== undefined; slot = slot.next) yield [slot.end, slot.value]
  }

  #find(w0: number, w1: number, w2: number, w3: number, port: number): Slot<V> | undefined {
    for (let slot = this.#slots.get(hash(w0, w1, w2, w3, port)); slot !== undefined; slot = slot.next) {
      const { end } = slot
      if (end.w0 === w0 && end.port === port && end.w3 === w3 && end.w2 === w2 && end.w1 === w1) return slot
    }
    return undefined
  }
}

/** A signed 32-bit number, which V8 does not put on the heap. */
const hash = (w0: number, w1: number, w2: number, w3: number, port: number): number => {
  let sum = Math.imul(w0 ^ Math.imul(port, 0x9e3779b1), 0x85ebca6b)
  sum = Math.imul(sum ^ (sum >>> 15) ^ w1, 0xc2b2ae35)
  sum = Math.imul(sum ^ (sum >>> 13) ^ w2, 0x27d4eb2f)
  sum = Math.imul(sum ^ (sum >>> 16) ^ w3, 0x165667b1)
  return sum ^ (sum >>> 15)
}

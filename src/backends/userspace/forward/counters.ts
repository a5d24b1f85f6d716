/**
 * Counters that all threads see. A slot belongs to one virtual server or one endpoint of it; slots come in blocks of
 * shared memory, which are plain data for a message to a thread.
 *
 * What schedulers and limits go by is one number for all threads, changed atomically. What only grows is kept per thread and
 * added up when somebody asks, so that counting bytes costs nothing.
 */
export interface CounterBlock {
  readonly shared: SharedArrayBuffer
  readonly perThread: SharedArrayBuffer
}

/** Where a slot is. */
export interface SlotRef {
  readonly block: number
  readonly index: number
}

export const slotsPerBlock = 256

const active = 0
const inactive = 1
const failures = 2
const level = 3
const sharedInts = 4
/** The ints, then one double. */
const sharedBytes = 4 * sharedInts + 8

const total = 0
const failed = 1
const bytesIn = 2
const bytesOut = 3
const limited = 4
const grown = 5

export const createBlock = (threads: number): CounterBlock => ({
  shared: new SharedArrayBuffer(slotsPerBlock * sharedBytes),
  perThread: new SharedArrayBuffer(slotsPerBlock * threads * grown * 8),
})

/** One slot as one thread sees it. */
export class Counters {
  readonly ref: SlotRef
  readonly #shared: Int32Array
  readonly #until: Float64Array
  readonly #own: Float64Array
  readonly #all: Float64Array

  constructor({ shared, perThread }: CounterBlock, ref: SlotRef, thread: number) {
    const threads = perThread.byteLength / (slotsPerBlock * grown * 8)
    const own = 8 * grown * threads * ref.index
    this.ref = ref
    this.#shared = new Int32Array(shared, sharedBytes * ref.index, sharedInts)
    this.#until = new Float64Array(shared, sharedBytes * ref.index + 4 * sharedInts, 1)
    this.#all = new Float64Array(perThread, own, grown * threads)
    this.#own = this.#all.subarray(grown * thread, grown * (thread + 1))
  }

  get active(): number {
    return this.#shared[active] ?? 0
  }
  get inactive(): number {
    return this.#shared[inactive] ?? 0
  }
  /** Gives the sum with `inactive` as it was before. */
  addActive(count: number): number {
    return Atomics.add(this.#shared, active, count) + this.inactive
  }
  addInactive(count: number): number {
    return Atomics.add(this.#shared, inactive, count) + this.active
  }

  /** Failures in a row; gives how many there are now. */
  addFailure(): number {
    return Atomics.add(this.#shared, failures, 1) + 1
  }
  get failures(): number {
    return this.#shared[failures] ?? 0
  }
  /** Ejections in a row. */
  get level(): number {
    return this.#shared[level] ?? 0
  }
  /** True for the one thread that raises it from `from`. */
  raiseLevel(from: number): boolean {
    return Atomics.compareExchange(this.#shared, level, from, from + 1) === from
  }
  clearFailures(): void {
    Atomics.store(this.#shared, failures, 0)
    Atomics.store(this.#shared, level, 0)
    this.#until[0] = 0
  }
  /** Ejected until then, by the clock of the process in milliseconds. */
  get ejectedUntil(): number {
    return this.#until[0] ?? 0
  }
  set ejectedUntil(time: number) {
    this.#until[0] = time
  }

  countTotal(): void {
    this.#grow(total, 1)
  }
  countFailed(): void {
    this.#grow(failed, 1)
  }
  countLimited(): void {
    this.#grow(limited, 1)
  }
  countIn(bytes: number): void {
    this.#grow(bytesIn, bytes)
  }
  countOut(bytes: number): void {
    this.#grow(bytesOut, bytes)
  }

  get total(): number {
    return this.#sum(total)
  }
  get failed(): number {
    return this.#sum(failed)
  }
  get limited(): number {
    return this.#sum(limited)
  }
  get bytesIn(): number {
    return this.#sum(bytesIn)
  }
  get bytesOut(): number {
    return this.#sum(bytesOut)
  }

  /** For its next owner. */
  clear(): void {
    this.#shared.fill(0)
    this.#until.fill(0)
    this.#all.fill(0)
  }

  #grow(field: number, by: number): void {
    this.#own[field] = (this.#own[field] ?? 0) + by
  }

  #sum(field: number): number {
    let sum = 0
    for (let i = field; i < this.#all.length; i += grown) sum += this.#all[i] ?? 0
    return sum
  }
}

const descriptors = 0
const connections = 1
const sessions = 2
const paused = 3
const pauses = 4
const fields = 5

/** Counters of the whole process, in memory that all threads share. */
export class ProcessCounters {
  readonly memory: SharedArrayBuffer
  readonly #values: Int32Array

  constructor(memory = new SharedArrayBuffer(4 * fields)) {
    this.memory = memory
    this.#values = new Int32Array(memory)
  }

  /** Descriptors in use by connections, sessions and listeners. */
  get descriptors(): number {
    return Atomics.load(this.#values, descriptors)
  }
  addDescriptors(count: number): void {
    Atomics.add(this.#values, descriptors, count)
  }

  /** TCP connections and UDP sessions. */
  get connections(): number {
    return Atomics.load(this.#values, connections)
  }
  get sessions(): number {
    return Atomics.load(this.#values, sessions)
  }
  /** Gives how many connections there were. */
  addConnections(count: number, session: boolean): number {
    if (session) Atomics.add(this.#values, sessions, count)
    return Atomics.add(this.#values, connections, count)
  }

  /** Threads that have stopped accepting. */
  get paused(): number {
    return Atomics.load(this.#values, paused)
  }
  get pauses(): number {
    return Atomics.load(this.#values, pauses)
  }
  pause(): void {
    Atomics.add(this.#values, paused, 1)
    Atomics.add(this.#values, pauses, 1)
  }
  resume(): void {
    Atomics.sub(this.#values, paused, 1)
  }
}

import type { SimulatedServer } from './simulated-server.ts'

/** What one change of the set of servers, or of a weight, did to clients. */
export interface ChangeCount {
  readonly event: string
  /** Seconds. */
  readonly at: number
  /** Clients that came again before the next change, and whose server still lived. */
  returning: number
  /** Those of them that went elsewhere. */
  moved: number
}

/** Where clients went last, hence who went elsewhere after a change. */
export class Movement {
  readonly changes: ChangeCount[] = []
  /** Connections of clients that had been there since the last change, and whose server still lived. */
  repeats = 0
  /** Those of them that went to the same server. */
  kept = 0
  readonly #last: Int32Array
  readonly #epochs: Uint16Array

  constructor(clients: number) {
    this.#last = new Int32Array(clients).fill(nowhere)
    this.#epochs = new Uint16Array(clients)
  }

  change(event: string, at: number): void {
    this.changes.push({ event, at, returning: 0, moved: 0 })
  }

  picked(client: number, server: SimulatedServer, servers: readonly SimulatedServer[]): void {
    const last = this.#last[client] ?? nowhere
    const epoch = this.changes.length
    const before = servers[last]
    if (before?.lives) {
      const same = before === server
      const change = this.changes[epoch - 1]
      if (this.#epochs[client] === epoch || change === undefined) {
        this.repeats++
        if (same) this.kept++
      } else {
        change.returning++
        if (!same) change.moved++
      }
    }
    this.#last[client] = server.index
    this.#epochs[client] = epoch
  }
}

const nowhere = -1

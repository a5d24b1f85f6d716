import type { Place } from '../flows/net.ts'
import type { Front } from '../flows/objects.ts'
import type { Outcome } from '../support/host-protocol.ts'
import type { Stage } from './stage.ts'

/** New connections without a pause, a few at a time, until told to stop. */
export class Load {
  readonly #outcomes: Outcome[] = []
  readonly #working: Promise<void>
  #stopped = false

  constructor(stage: Stage, from: Place, front: Front) {
    this.#working = this.#work(stage, from, front)
  }

  /** How many have ended. */
  get count(): number {
    return this.#outcomes.length
  }

  /** Resolves when so many more have ended. */
  async more(count: number): Promise<void> {
    const wanted = this.count + count
    while (this.count < wanted) await new Promise((resolve) => setTimeout(resolve, 5))
  }

  /** All outcomes, when the last one is in. */
  async stop(): Promise<readonly Outcome[]> {
    this.#stopped = true
    await this.#working
    return this.#outcomes
  }

  async #work(stage: Stage, from: Place, { ip, port }: Front): Promise<void> {
    while (!this.#stopped) {
      const batch = await stage.host(from).connect({ address: ip, port, count: 12, parallel: 3, timeoutMs: 10_000 })
      this.#outcomes.push(...batch)
    }
  }
}

import type { PlannedEvent, Scenario, Trigger } from './scenario.ts'
import { SimulateError } from './simulate-error.ts'

/** The events of a scenario, and the removals that follow the death of a server. */
export class EventScript {
  readonly #file: string
  readonly #events: readonly PlannedEvent[]
  readonly #removals: { readonly at: number; readonly event: PlannedEvent }[] = []
  /** How many events have been taken. */
  taken = 0
  /** When the next one is due that has a time; Infinity when it has none, or there is none. */
  first = Number.POSITIVE_INFINITY
  #connection = Number.POSITIVE_INFINITY

  constructor({ file, events }: Pick<Scenario, 'file' | 'events'>) {
    this.#file = file
    this.#events = events
    this.#look()
  }

  get firstRemoval(): number {
    return this.#removals[0]?.at ?? Number.POSITIVE_INFINITY
  }

  /** Whether the next event waits for a connection, and it is this one. */
  dueBefore(connection: number): boolean {
    return this.#connection <= connection
  }

  /**
   * The event that is due now, before connection number `connection`.
   *
   * @throws SimulateError `order` when the one after it should have happened earlier
   */
  take(now: number, connection: number): PlannedEvent {
    const event = this.#events[this.taken++]
    if (event === undefined) throw new RangeError('no event is due')
    const next = this.#events[this.taken]
    if (next !== undefined && isOver(next.trigger, now, connection)) {
      const reason = `is over when the event before it happens, at ${now.toPrecision(6)} s, before connection ${connection}`
      throw new SimulateError('order', this.#file, [{ line: next.line, field: `events[${this.taken}]`, reason }])
    }
    this.#look()
    return event
  }

  removeLater(at: number, event: PlannedEvent): void {
    this.#removals.push({ at, event })
    this.#removals.sort((a, b) => a.at - b.at)
    this.#look()
  }

  takeRemoval(): PlannedEvent {
    const [next] = this.#removals.splice(0, 1)
    if (next === undefined) throw new RangeError('no removal is due')
    this.#look()
    return next.event
  }

  cancelRemoval(server: number): void {
    const at = this.#removals.findIndex(({ event }) => event.server === server)
    if (at >= 0) this.#removals.splice(at, 1)
    this.#look()
  }

  #look(): void {
    const trigger = this.#events[this.taken]?.trigger
    this.#connection = trigger?.kind === 'connection' ? trigger.number : Number.POSITIVE_INFINITY
    this.first = Math.min(this.firstRemoval, trigger?.kind === 'time' ? trigger.at : Number.POSITIVE_INFINITY)
  }
}

const isOver = (trigger: Trigger, now: number, connection: number): boolean =>
  trigger.kind === 'time' ? trigger.at < now : trigger.number < connection

import type { SimulatedServer } from './simulated-server.ts'
import { Spread } from './spread.ts'

/** How many samples a run is to have. */
const wanted = 240
/** Beyond so many servers nobody can tell lines apart. */
const mostLines = 64

/** Loads at regular times, for the charts and for how uneven they are. */
export class LoadSamples {
  /** Seconds between two samples. */
  readonly interval: number
  next: number
  /** Of each server; none when there are too many of them. */
  readonly perServer: number[][]
  readonly #spread = new Spread()
  #maxOverMean = 0
  #cv = 0
  #count = 0

  /** `span`: about how long the run takes, in seconds. */
  constructor(span: number, servers: number) {
    this.interval = span / wanted
    this.next = this.interval > 0 ? this.interval : Number.POSITIVE_INFINITY
    this.perServer = Array.from({ length: servers > mostLines ? 0 : servers }, () => [])
  }

  take(servers: readonly SimulatedServer[]): void {
    this.next += this.interval
    this.#spread.clear()
    for (const { listed, load, index, server } of servers) {
      this.perServer[index]?.push(load)
      if (listed && server.weight > 0) this.#spread.add(load / server.weight)
    }
    const { maxOverMean, cv } = this.#spread
    if (maxOverMean === undefined || cv === undefined) return
    this.#maxOverMean += maxOverMean
    this.#cv += cv
    this.#count++
  }

  /** The mean of all samples; undefined when there never was a load. */
  get maxOverMean(): number | undefined {
    return this.#count === 0 ? undefined : this.#maxOverMean / this.#count
  }

  get cv(): number | undefined {
    return this.#count === 0 ? undefined : this.#cv / this.#count
  }
}

/** The part of a terminal's stream that a progress bar needs. */
export interface Screen {
  write(text: string): unknown
  readonly columns?: number
}

/** Quick work is done before anybody reads a bar. */
const quietMs = 1000
const repaintMs = 100
const mostColumns = 40

/** One line on a terminal: `[=====     ]  42 %, 3 s left`. Nothing during the first second. */
export class ProgressBar {
  readonly #screen: Screen
  readonly #now: () => number
  readonly #startedAt: number
  #paintedAt = 0
  #painted = false

  /** `now`: milliseconds of a clock that never goes back. */
  constructor(screen: Screen, now: () => number = () => performance.now()) {
    this.#screen = screen
    this.#now = now
    this.#startedAt = now()
  }

  /** `share`: 0 to 1. */
  show(share: number): void {
    const now = this.#now()
    const elapsed = now - this.#startedAt
    if (elapsed < quietMs || (this.#painted && now - this.#paintedAt < repaintMs)) return
    this.#painted = true
    this.#paintedAt = now
    const left = share > 0 ? `, ${Math.ceil((elapsed * (1 - share)) / share / 1000)} s left` : ''
    const figures = ` ${String(Math.floor(100 * share)).padStart(3)} %${left}`
    const width = Math.min(mostColumns, (this.#screen.columns || 80) - figures.length - 3)
    const filled = Math.max(0, Math.round(share * width))
    const bar = width < 5 ? '' : `[${'='.repeat(filled).padEnd(width)}]`
    this.#screen.write(`\r${bar}${figures}${eraseRest}`)
  }

  /** Leaves the line as it was. */
  clear(): void {
    if (this.#painted) this.#screen.write(`\r${eraseRest}`)
    this.#painted = false
  }
}

const eraseRest = '\u001b[K'

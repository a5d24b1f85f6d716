/** What happened since the last look: the paths named by events, or everything. */
export type Ringing = { readonly kind: 'paths'; readonly paths: ReadonlySet<string> } | { readonly kind: 'all' }

const nothing: Ringing = { kind: 'paths', paths: new Set() }

/** Wakes the one who waits, and keeps what it was rung for until it is taken: no event is lost while work is in hand. */
export class Bell {
  #paths = new Set<string>()
  #all = false
  #count = 0
  #wake: (() => void) | undefined

  /** How often it was rung since it was made. */
  get count(): number {
    return this.#count
  }

  /** `path` undefined: look at everything. */
  ring(path?: string): void {
    this.#count++
    if (path === undefined) this.#all = true
    else this.#paths.add(path)
    this.#wake?.()
  }

  take(): Ringing {
    const ringing: Ringing = this.#all
      ? { kind: 'all' }
      : this.#paths.size > 0
        ? { kind: 'paths', paths: this.#paths }
        : nothing
    this.#all = false
    this.#paths = new Set()
    return ringing
  }

  /** Until it rings, has rung, `milliseconds` are over or `signal` is aborted. */
  async wait(milliseconds: number, signal: AbortSignal): Promise<void> {
    if (this.#all || this.#paths.size > 0 || signal.aborted) return
    await new Promise<void>((resolve) => {
      const done = (): void => {
        clearTimeout(timer)
        signal.removeEventListener('abort', done)
        this.#wake = undefined
        resolve()
      }
      const timer = setTimeout(done, milliseconds)
      signal.addEventListener('abort', done, { once: true })
      this.#wake = done
    })
  }
}

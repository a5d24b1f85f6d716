import { closeSync, openSync } from 'node:fs'
import type { ProcessCounters } from './process-counters.ts'

/** A socket that can stop accepting for a while, without its clients being refused: they wait in the kernel's queue. */
export interface Gated {
  pause(): void
  resume(): void
}

export interface GateOptions {
  readonly process: ProcessCounters
  /** For connections, sessions and listeners of all threads. */
  readonly maxDescriptors: number
  readonly onPaused: () => void
  readonly onResumed: (afterMs: number) => void
}

/** A TCP connection: the client's socket and the endpoint's. */
export const descriptorsPerConnection = 2

/** How often a pause is reconsidered. It also bounds how often accepting can begin again. */
const checkMs = 100
/** A pause is told again only after so long without one, so that a process at its limit does not fill its log. */
const calmMs = 5000

/**
 * Stops accepting in this thread when descriptors run out, and begins again when there are some, never more often than ten
 * times a second.
 */
export class DescriptorGate {
  readonly #options: GateOptions
  readonly #gated = new Set<Gated>()
  /** Pausing needs a descriptor for a moment, one listener after the other, just when there is none. */
  #spare = spare()
  #check: NodeJS.Timeout | undefined
  #calm: NodeJS.Timeout | undefined
  #pausedAt: number | undefined

  constructor(options: GateOptions) {
    this.#options = options
  }

  get paused(): boolean {
    return this.#check !== undefined
  }

  add(gated: Gated): void {
    this.#gated.add(gated)
    if (this.paused) gated.pause()
  }

  delete(gated: Gated): void {
    this.#gated.delete(gated)
  }

  take(descriptors: number): void {
    this.#options.process.addDescriptors(descriptors)
    if (!this.#hasRoom()) this.close()
  }

  give(descriptors: number): void {
    this.#options.process.addDescriptors(-descriptors)
  }

  /** There are enough for another session. */
  get open(): boolean {
    return !this.paused && this.#hasRoom()
  }

  /** The kernel says that there are none, or the count does. */
  close(): void {
    if (this.paused) return
    const { process } = this.#options
    process.pause()
    this.#pauseAll()
    clearTimeout(this.#calm)
    this.#calm = undefined
    if (this.#pausedAt === undefined) {
      this.#pausedAt = performance.now()
      this.#options.onPaused()
    }
    this.#check = setInterval(() => this.#reconsider(), checkMs)
  }

  stop(): void {
    if (this.paused) this.#options.process.resume()
    clearInterval(this.#check)
    clearTimeout(this.#calm)
    this.#check = undefined
    this.#dropSpare()
  }

  #pauseAll(): void {
    this.#dropSpare()
    for (const gated of this.#gated) gated.pause()
    this.#spare = spare()
  }

  #dropSpare(): void {
    if (this.#spare !== undefined) closeSync(this.#spare)
    this.#spare = undefined
  }

  #hasRoom(): boolean {
    return this.#options.process.descriptors + descriptorsPerConnection <= this.#options.maxDescriptors
  }

  #reconsider(): void {
    this.#spare ??= spare()
    if (!this.#hasRoom() || this.#spare === undefined || !someLeft()) return
    clearInterval(this.#check)
    this.#check = undefined
    this.#options.process.resume()
    const since = this.#pausedAt ?? performance.now()
    const afterMs = performance.now() - since
    this.#calm = setTimeout(() => {
      this.#pausedAt = undefined
      this.#options.onResumed(afterMs)
    }, calmMs)
    this.#calm.unref()
    for (const gated of this.#gated) gated.resume()
  }
}

/** Whether a connection would get its descriptors, whoever has the others. */
const someLeft = (): boolean => {
  const tried = Array.from({ length: descriptorsPerConnection }, spare)
  for (const fd of tried) if (fd !== undefined) closeSync(fd)
  return !tried.includes(undefined)
}

/** undefined: there is none. */
const spare = (): number | undefined => {
  try {
    return openSync('/dev/null', 'r')
  } catch {
    return undefined
  }
}

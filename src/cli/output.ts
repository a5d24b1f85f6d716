import type { Writable } from 'node:stream'

/**
 * Text to a standard stream, in order. A pipe takes text later than a write returns, and ending the process throws away
 * what waits, so flush first. A reader that has seen enough and left (`| head`) is no error.
 */
export class TextOutput {
  readonly #stream: Writable
  readonly #name: string
  #written: Promise<void> = Promise.resolve()
  #failure: Error | undefined

  /** `name` is for the error: `standard output`. */
  constructor(stream: Writable, name: string) {
    this.#stream = stream
    this.#name = name
    // Every write learns of its failure by its own callback; without a listener the event would end the process.
    stream.on('error', () => {})
  }

  write(text: string): void {
    this.#written = new Promise((resolve) => {
      this.#stream.write(text, (error) => {
        if (error !== undefined && error !== null && !isBrokenPipe(error)) this.#failure ??= error
        resolve()
      })
    })
  }

  /** Resolves when all that was written is out. @throws Error with why it could not be written */
  async flush(): Promise<void> {
    await this.#written
    if (this.#failure === undefined) return
    throw new Error(`cannot write to ${this.#name}: ${this.#failure.message}`, { cause: this.#failure })
  }
}

const isBrokenPipe = (error: Error): boolean =>
  'code' in error && (error.code === 'EPIPE' || error.code === 'ERR_STREAM_DESTROYED')

/** More bytes than any Kubernetes object can have (etcd refuses requests above 1.5 MiB unless told otherwise). */
export const objectLimit = 16 * 1024 * 1024

/** Bytes that arrive in pieces and are decoded once, as a whole, so that no character is torn apart. */
export class Pieces {
  readonly #limit: number
  #pieces: Buffer[] = []
  #bytes = 0

  /** @param limit most bytes before {@link take} */
  constructor(limit: number = objectLimit) {
    this.#limit = limit
  }

  /** Throws RangeError above the limit. */
  add(piece: Buffer): void {
    this.#bytes += piece.length
    if (this.#bytes > this.#limit) throw new RangeError(`an object of more than ${this.#limit} bytes`)
    this.#pieces.push(piece)
  }

  /** The last bytes, one character each. */
  tail(bytes: number): string {
    return this.#whole().subarray(-bytes).toString('latin1')
  }

  /** Everything so far, and starts anew. */
  take(): string {
    const text = this.#whole().toString('utf8')
    this.#pieces = []
    this.#bytes = 0
    return text
  }

  #whole(): Buffer {
    const [only, ...more] = this.#pieces
    return only !== undefined && more.length === 0 ? only : Buffer.concat(this.#pieces)
  }
}

import { objectLimit, Pieces } from './pieces.ts'

const newline = 0x0a

/** Cuts a byte stream into lines. Blank lines are left out. */
export class LineSplitter {
  readonly #line: Pieces

  /** @param limit most bytes of one line */
  constructor(limit: number = objectLimit) {
    this.#line = new Pieces(limit)
  }

  /** The lines that `chunk` completes. Throws RangeError when a line is too long. */
  *push(chunk: Buffer): Generator<string> {
    let start = 0
    for (let end = chunk.indexOf(newline); end >= 0; end = chunk.indexOf(newline, start)) {
      this.#line.add(chunk.subarray(start, end))
      start = end + 1
      const line = this.end()
      if (line !== '') yield line
    }
    if (start < chunk.length) this.#line.add(chunk.subarray(start))
  }

  /** What has come since the last newline. */
  end(): string {
    return this.#line.take().trim()
  }
}

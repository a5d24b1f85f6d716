import { objectLimit, Pieces } from './pieces.ts'

const quote = 0x22
const comma = 0x2c
const backslash = 0x5c
const openBrace = 0x7b
const closeBrace = 0x7d
const openBracket = 0x5b
const closeBracket = 0x5d
const itemsKey = /"items"\s*:\s*\[$/

/**
 * Takes a Kubernetes list apart while it arrives, one item at a time.
 *
 * A server that answers from its watch cache ignores `limit`: 20,000 EndpointSlices come as one document of tens of
 * megabytes. Parsed as a whole it would need several times that, memory which the process never gives back.
 *
 * It only tells strings from structure; JSON.parse of each item and of the rest does the validating. All cuts are at
 * ASCII bytes, so no character is torn apart.
 */
export class ListSplitter {
  readonly #rest: Pieces
  readonly #item: Pieces
  #where: 'rest' | 'betweenItems' | 'item' = 'rest'
  #depth = 0
  #inString = false
  #escaped = false

  /** @param limit most bytes of one item, and of everything around the items */
  constructor(limit: number = objectLimit) {
    this.#rest = new Pieces(limit)
    this.#item = new Pieces(limit)
  }

  /** The items that `chunk` completes. Throws SyntaxError on what is no JSON and RangeError above the limit. */
  *push(chunk: Buffer): Generator<unknown> {
    let start = 0
    for (let i = 0; i < chunk.length; i++) {
      const byte = chunk[i]
      if (this.#inString) {
        if (this.#escaped) this.#escaped = false
        else if (byte === backslash) this.#escaped = true
        else if (byte === quote) this.#inString = false
        continue
      }
      switch (byte) {
        case quote:
          this.#inString = true
          break
        case openBrace:
        case openBracket:
          this.#depth++
          break
        case closeBrace:
        case closeBracket:
          this.#depth--
          break
      }
      switch (this.#where) {
        case 'rest':
          if (byte !== openBracket || this.#depth !== 2) break
          this.#rest.add(chunk.subarray(start, i + 1))
          start = i + 1
          if (itemsKey.test(this.#rest.tail(64))) this.#where = 'betweenItems'
          break
        case 'betweenItems':
          if (byte === closeBracket) this.#where = 'rest'
          else if (byte === openBrace) this.#where = 'item'
          else if (!isFiller(byte)) throw new SyntaxError('an item of the list is no object')
          start = i
          break
        case 'item':
          if (this.#depth !== 2 || byte !== closeBrace) break
          this.#item.add(chunk.subarray(start, i + 1))
          this.#where = 'betweenItems'
          yield JSON.parse(this.#item.take())
          break
      }
    }
    if (this.#where === 'rest') this.#rest.add(chunk.subarray(start))
    else if (this.#where === 'item') this.#item.add(chunk.subarray(start))
  }

  /** The list without its items. Throws SyntaxError when the document is not complete. */
  end(): unknown {
    return JSON.parse(this.#rest.take())
  }
}

const isFiller = (byte: number | undefined): boolean =>
  byte === comma || byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09

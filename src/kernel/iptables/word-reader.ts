/** Walks words without unquoting them. In the input of iptables-restore only a whole word can be in quotes. */
export class WordReader {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  more(): boolean {
    while (this.#text.charCodeAt(this.#at) === space) this.#at++
    return this.#at < this.#text.length
  }

  word(): string {
    const text = this.#text
    while (text.charCodeAt(this.#at) === space) this.#at++
    const start = this.#at
    let end: number
    if (text.charCodeAt(start) === quote) {
      end = start + 1
      while (end < text.length && text.charCodeAt(end) !== quote) end += text.charCodeAt(end) === backslash ? 2 : 1
      end++
    } else {
      end = text.indexOf(' ', start)
      if (end < 0) end = text.length
    }
    this.#at = end
    return text.slice(start, end)
  }

  /** The next word is the value of an option, rather than an option. */
  atValue(): boolean {
    if (!this.more()) return false
    const code = this.#text.charCodeAt(this.#at)
    return code !== dash && !(code === exclamation && isEnd(this.#text.charCodeAt(this.#at + 1)))
  }
}

const space = 0x20
const exclamation = 0x21
const quote = 0x22
const dash = 0x2d
const backslash = 0x5c
const isEnd = (code: number): boolean => code === space || Number.isNaN(code)

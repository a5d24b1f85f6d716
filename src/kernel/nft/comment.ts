import type { Writer } from '../netlink/wire.ts'
import { commentLimit, UDATA_COMMENT } from './constants.ts'

const utf8 = new TextEncoder()
const text = new TextDecoder()

/**
 * Writes `comment` as the user data that nft shows: a TLV with a NUL-terminated string. Cut after 128 bytes, never in the
 * middle of a character. Quotes and control characters become `_`, because nft prints comments unescaped and could not
 * read its own listing back.
 */
export const writeComment = (writer: Writer, attribute: number, comment: string): void => {
  const limit = Math.min(comment.length, commentLimit)
  const at = writer.attribute(attribute, limit + 3)
  for (let i = 0; i < limit; i++) {
    const code = comment.charCodeAt(i)
    if (code > 0x7e) {
      writer.bytes.fill(0, at - 4, writer.length)
      writer.length = at - 4
      writeEncoded(writer, attribute, comment)
      return
    }
    writer.bytes[at + 2 + i] = code < 0x20 || code === 0x22 ? 0x5f : code
  }
  writer.bytes[at] = UDATA_COMMENT
  writer.bytes[at + 1] = limit + 1
}

const unprintable = /[\p{Cc}"]/gu

const writeEncoded = (writer: Writer, attribute: number, comment: string): void => {
  const bytes = new Uint8Array(commentLimit)
  const { written } = utf8.encodeInto(comment.replace(unprintable, '_'), bytes)
  const at = writer.attribute(attribute, written + 3)
  writer.bytes[at] = UDATA_COMMENT
  writer.bytes[at + 1] = written + 1
  writer.bytes.set(bytes.subarray(0, written), at + 2)
}

/** The comment in user data; undefined when there is none. `type` differs for sets. */
export const readComment = (userdata: Uint8Array, type: number = UDATA_COMMENT): string | undefined => {
  for (let at = 0; at + 2 <= userdata.length; ) {
    const end = at + 2 + (userdata[at + 1] ?? 0)
    if (end > userdata.length) return undefined
    if (userdata[at] === type) {
      const value = userdata.subarray(at + 2, end)
      const nul = value.indexOf(0)
      return text.decode(nul < 0 ? value : value.subarray(0, nul))
    }
    at = end
  }
  return undefined
}

const quoteMark = 34
const backslash = 92

const isBlank = (code: number): boolean => code === 32 || code === 10 || code === 13 || code === 9
/** `{` and `[`; `}` and `]`. */
const isOpener = (code: number): boolean => code === 123 || code === 91
const isCloser = (code: number): boolean => code === 125 || code === 93

/**
 * Where each of several JSON documents written one after the other begins and ends, as `jq` and `kubectl` write them.
 * Only brackets and strings are looked at: whether the parts are JSON is for `JSON.parse` to say.
 */
export const jsonDocuments = (text: string): readonly { readonly start: number; readonly end: number }[] => {
  const found: { start: number; end: number }[] = []
  let depth = 0
  let start = -1
  let quoted = false
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (start < 0) {
      if (isBlank(code)) continue
      start = i
    }
    if (quoted) {
      if (code === backslash) i++
      else if (code === quoteMark) quoted = false
    } else if (code === quoteMark) quoted = true
    else if (isOpener(code)) depth++
    else if (isCloser(code) && --depth <= 0) {
      found.push({ start, end: i + 1 })
      start = -1
      depth = 0
    }
  }
  if (start >= 0) found.push({ start, end: text.length })
  return found
}

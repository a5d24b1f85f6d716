/** Blanks, then one token: punctuation, a string, or a number or word. */
const token =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are the ones that a JSON string must not hold
  /[ \t\r\n]*(?:([{}[\],:])|("[^"\\\u0000-\u001f]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\u0000-\u001f]*)*")|(?:-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)(?![\w.+-]))/y
const blanks = /[ \t\r\n]*/y

type Expected = 'value' | 'value or ]' | 'name' | 'name or }' | ':' | ', or end' | 'nothing'

/** Where a text stops being JSON: `JSON.parse` says so only on some engines. For a text that is JSON, its end. */
export const jsonFaultAt = (text: string): number => {
  const open: string[] = []
  let expected: Expected = 'value'
  let at = 0
  for (;;) {
    token.lastIndex = at
    const match = token.exec(text)
    const next: Expected | undefined = match === null ? undefined : step(expected, match[1], match[2], open)
    if (next === undefined) {
      blanks.lastIndex = at
      return at + (blanks.exec(text)?.[0].length ?? 0)
    }
    expected = next
    at = token.lastIndex
  }
}

/** What may follow; undefined = the token does not belong here. `open` holds the brackets around it. */
const step = (
  expected: Expected,
  mark: string | undefined,
  string: string | undefined,
  open: string[],
): Expected | undefined => {
  const after = (): Expected => (open.length === 0 ? 'nothing' : ', or end')
  switch (mark) {
    case '{':
    case '[':
      if (expected !== 'value' && expected !== 'value or ]') return undefined
      open.push(mark)
      return mark === '{' ? 'name or }' : 'value or ]'
    case '}':
    case ']': {
      const isEmpty = expected === (mark === '}' ? 'name or }' : 'value or ]')
      if (!isEmpty && expected !== ', or end') return undefined
      return open.pop() === (mark === '}' ? '{' : '[') ? after() : undefined
    }
    case ',':
      if (expected !== ', or end') return undefined
      return open.at(-1) === '{' ? 'name' : 'value'
    case ':':
      return expected === ':' ? 'value' : undefined
    default:
      if (expected === 'value' || expected === 'value or ]') return after()
      return string !== undefined && (expected === 'name' || expected === 'name or }') ? ':' : undefined
  }
}

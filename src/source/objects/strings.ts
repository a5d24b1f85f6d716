const poolLimit = 65_536

const names = new Map<string, string>()
const lists = new Map<string, readonly string[]>()

/** The same text as one string object: node names, zones and port names repeat in every slice. */
export const intern = (text: string): string => {
  const known = names.get(text)
  if (known !== undefined) return known
  // Emptied, not evicted one by one: what is still in use comes back with the next objects.
  if (names.size >= poolLimit) names.clear()
  names.set(text, text)
  return text
}

/** The list of this one name, which most topology hints are: always the same list object. */
export const listOf = (name: string): readonly string[] => {
  const known = lists.get(name)
  if (known !== undefined) return known
  if (lists.size >= poolLimit) lists.clear()
  const list = [name]
  lists.set(name, list)
  return list
}

const hyphen = 45
const dot = 46

/**
 * A DNS subdomain (RFC 1123), which the API demands of the names that a proxy meets. Names go into comments and chain
 * names, so nothing else may pass.
 */
export const isDnsName = (text: string): boolean => {
  if (text.length === 0 || text.length > 253) return false
  let previous = dot
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    const isWord = (code >= 97 && code <= 122) || (code >= 48 && code <= 57)
    if (!isWord) {
      if (code !== hyphen && code !== dot) return false
      if (previous === dot || (code === dot && previous === hyphen)) return false
    }
    previous = code
  }
  return previous !== hyphen && previous !== dot
}

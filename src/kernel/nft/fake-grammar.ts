import { KernelError } from '../netlink/error.ts'
import { NFT_SET_CONCAT, NFT_SET_EVAL, NFT_SET_INTERVAL, NFT_SET_MAP, NFT_SET_TIMEOUT } from './constants.ts'
import type { SetInfo } from './objects.ts'

export const unknownSyntax = (text: string): KernelError =>
  new KernelError({ code: 'unsupported', op: 'nft -f -', detail: `the fake does not know: ${text}` })

/** Splits at line ends and semicolons that are in no braces and no quotes; drops comments. */
export const splitStatements = (text: string): readonly string[] => {
  const statements: string[] = []
  let depth = 0
  let quoted = false
  let current = ''
  const end = (): void => {
    const statement = current.replace(/\s+/g, ' ').trim()
    if (statement !== '') statements.push(statement)
    current = ''
  }
  for (let i = 0; i < text.length; i++) {
    const char = text.charAt(i)
    if (char === '#' && !quoted) {
      while (i + 1 < text.length && text.charAt(i + 1) !== '\n') i++
      continue
    }
    if (char === '"') quoted = !quoted
    else if (!quoted && char === '{') depth++
    else if (!quoted && char === '}') depth--
    if (!quoted && depth === 0 && (char === '\n' || char === ';')) end()
    else current += char === '\n' && depth > 0 ? ';' : char
  }
  end()
  return statements
}

const block = /^([^{]*?)\s*\{(.*)\}$/

/** `head { body }`. */
export const splitBlock = (
  statement: string,
): { readonly words: readonly string[]; readonly body: string | undefined } => {
  const [, head = statement, body] = block.exec(statement) ?? []
  return { words: head.split(' '), body }
}

const commentText = /^comment "([^"]*)"$/
export const commentIn = (statements: readonly string[]): string | undefined => {
  for (const statement of statements) {
    const [, text] = commentText.exec(statement) ?? []
    if (text !== undefined) return text
  }
  return undefined
}

/** What stands in the block of a chain. */
export const chainStatements = (
  body: string,
): { readonly base: boolean; readonly comment: string | undefined; readonly rules: readonly string[] } => {
  const statements = splitStatements(body)
  const isOption = (text: string): boolean => /^(type|policy|comment|devices?) /.test(text)
  return {
    base: statements.some((text) => /^type \w+ hook /.test(text)),
    comment: commentIn(statements),
    rules: statements.filter((text) => !isOption(text)),
  }
}

const typeClause = /^(?:type|typeof) ([^:]*?)(?: : (.*))?$/

const dataOf = (kind: 'set' | 'map', words: string | undefined): SetInfo['data'] => {
  if (kind === 'set') return { kind: 'none' }
  return words === undefined || words === 'verdict' ? { kind: 'verdict' } : { kind: 'value', length: widthOf(words) }
}

const flagBits = (words: readonly string[], concatenated: boolean): number => {
  let bits = 0
  if (words.includes('interval')) bits |= NFT_SET_INTERVAL | (concatenated ? NFT_SET_CONCAT : 0)
  if (words.includes('timeout')) bits |= NFT_SET_TIMEOUT
  if (words.includes('dynamic')) bits |= NFT_SET_EVAL
  return bits
}

/** Bytes of each type or expression that a key may be declared with. */
const widths: readonly (readonly [pattern: RegExp, bytes: number])[] = [
  [/^(?:ipv4_addr|ip [sd]addr|ct original ip [sd]addr)$/, 4],
  [/^(?:ipv6_addr|ip6 [sd]addr|ct original ip6 [sd]addr)$/, 16],
  [/^(?:inet_proto|meta l4proto)$/, 1],
  [/^(?:inet_service|(?:th|tcp|udp|sctp) [sd]port|ct original proto-dst)$/, 2],
  [/^(?:mark|meta mark|ct mark|integer|numgen .*|jhash .*)$/, 4],
  [/^(?:ifname|meta [io]ifname)$/, 16],
]

const widthOf = (words: string): number => {
  const parts = words.split(' . ').map((part) => part.trim())
  const sizes = parts.map((part) => {
    const bytes = widths.find(([pattern]) => pattern.test(part))?.[1]
    if (bytes === undefined) throw unknownSyntax(`type ${part}`)
    return bytes
  })
  const [only] = sizes
  if (sizes.length === 1 && only !== undefined) return only
  return sizes.reduce((total, bytes) => total + Math.ceil(bytes / 4) * 4, 0)
}

const setClause = /^(?:type|typeof|flags|size|timeout|gc-interval|comment|policy|auto-merge)\b/

/** The block of a set or map. */
export const parseSet = (
  kind: 'set' | 'map',
  body: string,
): Pick<SetInfo, 'comment' | 'flags' | 'keyLength' | 'data'> => {
  const statements = splitStatements(body)
  const unknown = statements.find((text) => !setClause.test(text))
  const [, key, data] = statements.map((text) => typeClause.exec(text)).find((match) => match !== null) ?? []
  if (key === undefined || unknown !== undefined) throw unknownSyntax(unknown ?? body)
  const flags = statements.find((text) => text.startsWith('flags ')) ?? ''
  return {
    comment: commentIn(statements),
    flags: (kind === 'map' ? NFT_SET_MAP : 0) | flagBits(flags.split(/[ ,]+/), key.includes(' . ')),
    keyLength: widthOf(key),
    data: dataOf(kind, data),
  }
}

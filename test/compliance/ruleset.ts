import { cidrContains, parseCidr } from '../../src/model/cidr.ts'
import { parseIP } from '../../src/model/ip.ts'

/** A set or map: elements by key as text; where keys end in networks, each is tried. */
export interface TextSet {
  readonly interval: boolean
  readonly elements: ReadonlyMap<string, string>
}

export interface TextChain {
  /** `nat prerouting -100`; undefined = not a base chain. */
  readonly hook: string | undefined
  readonly rules: readonly string[]
}

export interface Ruleset {
  readonly sets: ReadonlyMap<string, TextSet>
  readonly chains: ReadonlyMap<string, TextChain>
}

const blockPattern = /^\t(set|map|chain) (\S+) \{\n((?:\t\t.*\n)*)\t\}$/gm
const hookPattern = /^type (\w+) hook (\w+) priority (-?\d+); policy accept;$/

/** Reads what `render` writes. What the grammar of tracing cannot read, the tracer refuses. */
export const parseRuleset = (text: string): Ruleset => {
  const sets = new Map<string, TextSet>()
  const chains = new Map<string, TextChain>()
  for (const [, kind, name = '', body = ''] of text.matchAll(blockPattern)) {
    if (kind === 'chain') chains.set(name, readChain(body))
    else sets.set(name, readSet(body))
  }
  if (sets.size === 0 || chains.size === 0) throw new TypeError('no ruleset')
  return { sets, chains }
}

const readChain = (body: string): TextChain => {
  const lines = body
    .split('\n')
    .map((line) => line.trim())
    // nft skips comments too.
    .filter((line) => line !== '' && !line.startsWith('#'))
  const [, type, hook, priority] = hookPattern.exec(lines[0] ?? '') ?? []
  if (type === undefined) return { hook: undefined, rules: lines }
  return { hook: `${type} ${hook} ${priority}`, rules: lines.slice(1) }
}

const readSet = (body: string): TextSet => {
  const [, list = ''] = /elements = \{ ([^}]*) \}/.exec(body) ?? []
  const elements = new Map<string, string>()
  for (const element of list.split(',').map((part) => part.trim())) {
    if (element === '') continue
    const [key = '', value = ''] = element.replace(/ comment "[^"]*"/, '').split(' : ')
    elements.set(key, value)
  }
  return { interval: /flags interval/.test(body), elements }
}

/** What the set has for a key of concatenated parts: '' for members of sets, undefined when it is not there. */
export const find = ({ interval, elements }: TextSet, key: readonly string[]): string | undefined => {
  if (!interval) return elements.get(key.join(' . '))
  const ip = parseIP(key.at(-1) ?? '')
  for (const [candidate, value] of elements) {
    const parts = candidate.split(' . ')
    const cidr = parseCidr(parts.at(-1) ?? '')
    const samePlace = parts.slice(0, -1).join(' . ') === key.slice(0, -1).join(' . ')
    if (samePlace && ip !== undefined && cidr !== undefined && cidrContains(cidr, ip)) return value
  }
  return undefined
}

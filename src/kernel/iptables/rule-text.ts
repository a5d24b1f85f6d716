import type { Brand } from '../../model/brand.ts'

/** Everything of a rule after `-A CHAIN `, as iptables-save prints it and iptables-restore reads it. One line. */
export type RuleText = Brand<string, 'RuleText'>

const plainWord = /^[A-Za-z0-9_\-.:,/+!=@%*~^[\]]+$/

/** Joins arguments as an `iptables` command line has them, e.g. `ruleText('-m', 'comment', '--comment', 'a b')`. */
export const ruleText = (...args: readonly string[]): RuleText => args.map(quoteWord).join(' ') as RuleText

const quoteWord = (word: string): string => {
  if (plainWord.test(word)) return word
  if (word.includes('\n') || word.includes('\0')) throw new TypeError(`rule argument with a control character: ${word}`)
  return `"${word.replaceAll(/["\\]/g, '\\$&')}"`
}

/** Splits a rule into its arguments: the inverse of {@link ruleText}, for the quoting of iptables-save too. */
export const ruleWords = (rule: RuleText): readonly string[] => {
  const words: string[] = []
  let word: string | undefined
  let quoted = false
  for (let i = 0; i < rule.length; i++) {
    const char = rule.charAt(i)
    if (char === '\\') word = (word ?? '') + rule.charAt(++i)
    else if (char === '"') {
      quoted = !quoted
      word ??= ''
    } else if (!quoted && (char === ' ' || char === '\t')) {
      if (word !== undefined) words.push(word)
      word = undefined
    } else word = (word ?? '') + char
  }
  if (word !== undefined) words.push(word)
  return words
}

/** Options whose argument is free text, and so may itself look like an option. */
const freeText = new Set(['--comment', '--string', '--hex-string', '--name', '--hashlimit-name', '--path', '-i', '-o'])

export interface RuleTarget {
  /** `goto` (-g) does not come back to the calling chain. */
  readonly kind: 'jump' | 'goto'
  /** A chain, or a target extension such as ACCEPT. */
  readonly name: string
}

/** Where a rule sends its packets; undefined for a rule that only counts. */
export const ruleTarget = (rule: RuleText): RuleTarget | undefined => {
  const words = ruleWords(rule)
  for (let i = 0; i + 1 < words.length; i++) {
    const word = words[i] ?? ''
    const name = words[i + 1] ?? ''
    if (word === '-j') return { kind: 'jump', name }
    if (word === '-g') return { kind: 'goto', name }
    if (freeText.has(word)) i++
  }
  return undefined
}

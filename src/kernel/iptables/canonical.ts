import type { Family } from '../../model/ip.ts'
import {
  destinationText,
  markMatch,
  markTarget,
  networkText,
  portText,
  probabilityText,
  quotedText,
  stateText,
} from './canonical-values.ts'
import type { RuleText } from './rule-text.ts'

/**
 * A rule as it would be written, in the words of `iptables-save` (1.8.9, both variants print the same): addresses,
 * interfaces and protocol first, then the matches in the order in which they were loaded, each with its options in the
 * extension's own order and with the defaults spelled out, then the target. Extensions that kube-proxy does not use go
 * through with their options as written. Addresses are expected as `model/ip.ts` has them.
 */
export const canonicalRule = (rule: RuleText, family: Family): RuleText => {
  const reader = new WordReader(rule)
  const parts = new RuleParts(family)
  while (reader.more()) {
    const word = reader.word()
    if (word === '!') parts.invert()
    else parts.option(word, reader)
  }
  return parts.text() as RuleText
}

/** Walks words without unquoting them. In the input of iptables-restore only a whole word can be in quotes. */
class WordReader {
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

/** The order in which extensions print options that may be written in another one (libxt_*.c, libipt_*.c: save). */
const printOrder: Readonly<Record<string, readonly string[]>> = {
  tcp: ['--sport', '--dport'],
  udp: ['--sport', '--dport'],
  sctp: ['--sport', '--dport'],
  addrtype: ['--src-type', '--dst-type', '--limit-iface-in', '--limit-iface-out'],
  recent: [
    ...['--set', '--rcheck', '--update', '--remove'],
    ...['--seconds', '--reap', '--hitcount', '--rttl', '--name', '--mask', '--rsource', '--rdest'],
  ],
  MASQUERADE: ['--to-ports', '--random', '--random-fully'],
  DNAT: ['--to-destination', '--random', '--persistent'],
}

/** A match or a target, and what it is told. */
interface Extension {
  readonly name: string
  readonly order: readonly string[] | undefined
  /** Options with their values, each after a space, … */
  readonly options: string[]
  /** … and their places in `order`. */
  readonly ranks: number[]
}

const extension = (name: string): Extension => ({ name, order: printOrder[name], options: [], ranks: [] })

const add = ({ order, options, ranks }: Extension, option: string, text: string): void => {
  if (order === undefined) {
    options.push(text)
    return
  }
  const found = order.indexOf(option)
  const rank = found < 0 ? order.length : found
  let at = ranks.length
  while (at > 0 && (ranks[at - 1] ?? 0) > rank) at--
  ranks.splice(at, 0, rank)
  options.splice(at, 0, text)
}

class RuleParts {
  readonly #family: Family
  #inverted = false
  #source = ''
  #destination = ''
  #input = ''
  #output = ''
  #protocol = ''
  #protocolName = ''
  /** Options of no extension that are not known here. */
  readonly #plain = extension('')
  readonly #matches: Extension[] = []
  #match: Extension | undefined
  #jump = ''
  #target: Extension | undefined

  constructor(family: Family) {
    this.#family = family
  }

  invert(): void {
    this.#inverted = true
  }

  option(option: string, reader: WordReader): void {
    const not = this.#inverted ? ' !' : ''
    this.#inverted = false
    switch (option) {
      case '-s':
        this.#source = this.#network(`${not} -s `, reader.word(), not)
        return
      case '-d':
        this.#destination = this.#network(`${not} -d `, reader.word(), not)
        return
      case '-i':
        this.#input = `${not} -i ${reader.word()}`
        return
      case '-o':
        this.#output = `${not} -o ${reader.word()}`
        return
      case '-p':
        this.#protocolName = reader.word()
        this.#protocol = `${not} -p ${this.#protocolName}`
        return
      case '-m':
        this.#match = extension(reader.word())
        this.#matches.push(this.#match)
        return
      case '-j':
      case '-g':
        this.#target = extension(reader.word())
        this.#jump = ` ${option} `
        return
      case '--sport':
      case '--dport':
        this.#port(not, option, reader)
        return
      default:
        this.#own(not, option, reader)
    }
  }

  text(): string {
    let text = this.#source + this.#destination + this.#input + this.#output + this.#protocol
    for (const option of this.#plain.options) text += option
    for (const match of this.#matches) text += ` -m ${match.name}${optionsText(match, this.#family)}`
    if (this.#target !== undefined) text += this.#jump + this.#target.name + optionsText(this.#target, this.#family)
    return text.slice(1)
  }

  #network(lead: string, value: string, not: string): string {
    const network = networkText(value, this.#family)
    // Any address: says something only when inverted.
    return network === '' && not === '' ? '' : lead + (network || value)
  }

  /** Options of the protocol's match, which `-p` alone loads as soon as one of them comes. */
  #port(not: string, option: string, reader: WordReader): void {
    const ports = portText(reader.word())
    let match = this.#matches.find(({ name }) => name === this.#protocolName)
    if (match === undefined) {
      const last = this.#match
      match = last !== undefined && this.#protocolName === '' ? last : extension(this.#protocolName)
      if (match !== last) this.#matches.push(match)
      this.#match = match
    }
    if (ports !== '' || not !== '') add(match, option, `${not} ${option} ${ports || '0:65535'}`)
  }

  /** An option of the target, if there is one yet, else of the last match. */
  #own(not: string, option: string, reader: WordReader): void {
    const owner = this.#target ?? this.#match ?? this.#plain
    switch (option) {
      case '--comment':
        add(owner, option, ` --comment ${quotedText(reader.word())}`)
        return
      case '--ctstate':
        add(owner, option, `${not} --ctstate ${stateText(reader.word())}`)
        return
      case '--mark':
        add(owner, option, `${not} --mark ${markMatch(reader.word())}`)
        return
      case '--or-mark':
      case '--and-mark':
      case '--xor-mark':
      case '--set-mark':
      case '--set-xmark':
        add(owner, option, ` --set-xmark ${markTarget(option, reader.word())}`)
        return
      case '--probability':
        add(owner, option, ` --probability ${probabilityText(reader.word())}`)
        return
      case '--to-destination':
        add(owner, option, ` --to-destination ${destinationText(reader.word())}`)
        return
      case '--nfacct-name':
        // Printed with two spaces: libxt_nfacct.c adds one before what xtables_save_string() begins with.
        add(owner, option, ` --nfacct-name  ${quotedText(reader.word())}`)
        return
      case '--name':
        add(owner, option, ` --name ${reader.word()}`)
        return
      default: {
        let text = `${not} ${option}`
        while (reader.atValue()) {
          const value = reader.word()
          text += ` ${value.startsWith('"') ? quotedText(value) : value}`
        }
        add(owner, option, text)
      }
    }
  }
}

const fullMask = { IPv4: '255.255.255.255', IPv6: 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff' } as const
const rejectWith = { IPv4: 'icmp-port-unreachable', IPv6: 'icmp6-port-unreachable' } as const

const optionsText = (given: Extension, family: Family): string => {
  const has = (option: string): boolean =>
    given.order?.some((name, rank) => name === option && given.ranks.includes(rank)) ?? false
  if (given.name === 'recent') {
    if (!has('--name')) add(given, '--name', ' --name DEFAULT')
    if (!has('--mask')) add(given, '--mask', ` --mask ${fullMask[family]}`)
    if (!has('--rdest') && !has('--rsource')) add(given, '--rsource', ' --rsource')
  } else if (given.name === 'REJECT' && given.options.length === 0) return ` --reject-with ${rejectWith[family]}`
  let text = ''
  for (const option of given.options) text += option
  return text
}

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
import { addOption, type Extension, extension, optionsText } from './rule-extension.ts'
import type { RuleText } from './rule-text.ts'
import { WordReader } from './word-reader.ts'

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
    if (ports !== '' || not !== '') addOption(match, option, `${not} ${option} ${ports || '0:65535'}`)
  }

  /** An option of the target, if there is one yet, else of the last match. */
  #own(not: string, option: string, reader: WordReader): void {
    const owner = this.#target ?? this.#match ?? this.#plain
    switch (option) {
      case '--comment':
        addOption(owner, option, ` --comment ${quotedText(reader.word())}`)
        return
      case '--ctstate':
        addOption(owner, option, `${not} --ctstate ${stateText(reader.word())}`)
        return
      case '--mark':
        addOption(owner, option, `${not} --mark ${markMatch(reader.word())}`)
        return
      case '--or-mark':
      case '--and-mark':
      case '--xor-mark':
      case '--set-mark':
      case '--set-xmark':
        addOption(owner, option, ` --set-xmark ${markTarget(option, reader.word())}`)
        return
      case '--probability':
        addOption(owner, option, ` --probability ${probabilityText(reader.word())}`)
        return
      case '--to-destination':
        addOption(owner, option, ` --to-destination ${destinationText(reader.word())}`)
        return
      case '--nfacct-name':
        // Printed with two spaces: libxt_nfacct.c adds one before what xtables_save_string() begins with.
        addOption(owner, option, ` --nfacct-name  ${quotedText(reader.word())}`)
        return
      case '--name':
        addOption(owner, option, ` --name ${reader.word()}`)
        return
      default: {
        let text = `${not} ${option}`
        while (reader.atValue()) {
          const value = reader.word()
          text += ` ${value.startsWith('"') ? quotedText(value) : value}`
        }
        addOption(owner, option, text)
      }
    }
  }
}

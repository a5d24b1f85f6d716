import type { TracedPacket } from './fate.ts'
import { inIpset, isWithin, type TextIpsets } from './ipset-text.ts'

/** What matches look at besides the packet. */
export interface World {
  readonly sets: TextIpsets
  /** Whether an address is the node's own. */
  readonly isLocal: (address: string) => boolean
}

/** `maybe`: by luck, or by what happened before. */
export type Answer = boolean | 'maybe'
type Test = (packet: TracedPacket, world: World) => Answer

export type Target =
  | { readonly kind: 'accept' | 'drop' | 'reject' | 'return' | 'masquerade' | 'nothing' }
  | { readonly kind: 'mark'; readonly value: number; readonly mask: number }
  | { readonly kind: 'dnat'; readonly address: string; readonly port: number | undefined }
  | { readonly kind: 'jump' | 'goto'; readonly chain: string }

export interface ParsedRule {
  readonly matches: (packet: TracedPacket, world: World) => Answer
  readonly target: Target
}

const parsed = new Map<string, ParsedRule>()

/** Reads a rule's words, each rule once. Throws for a match, an option or a target that the tracer has no notion of. */
export const parseRule = (words: readonly string[]): ParsedRule => {
  const text = words.join('\0')
  const rule = parsed.get(text) ?? readRule(words)
  parsed.set(text, rule)
  return rule
}

const readRule = (words: readonly string[]): ParsedRule => {
  const cursor = new Cursor(words)
  const modules = new Set<string>()
  const tests: Test[] = []
  let target: Target = { kind: 'nothing' }
  for (let option = cursor.next(); option !== undefined; option = cursor.next()) {
    if (option === '-m') {
      modules.add(known(cursor.value()))
      continue
    }
    if (option === '-j' || option === '-g') {
      target = option === '-g' ? { kind: 'goto', chain: cursor.value() } : readTarget(cursor)
      continue
    }
    const negated = option === '!'
    const name = negated ? cursor.value() : option
    if (name === '-p') modules.add(cursor.peek())
    const test = readTest(name, modules, cursor)
    tests.push(negated ? (packet, world) => not(test(packet, world)) : test)
  }
  return {
    target,
    matches: (packet, world) => {
      const answers = tests.map((test) => test(packet, world))
      return answers.includes(false) ? false : answers.includes('maybe') ? 'maybe' : true
    },
  }
}

class Cursor {
  readonly #words: readonly string[]
  #at = 0

  constructor(words: readonly string[]) {
    this.#words = words
  }

  next(): string | undefined {
    return this.#words[this.#at++]
  }

  peek(): string {
    return this.#words[this.#at] ?? ''
  }

  /** Whether the next word is this one, which is then taken. */
  take(word: string): boolean {
    if (this.peek() !== word) return false
    this.#at++
    return true
  }

  value(): string {
    return this.next() ?? unknownWord(`${this.#words.join(' ')}, which ends too early`)
  }

  number(): number {
    const text = this.value()
    return text !== '' && Number.isFinite(Number(text)) ? Number(text) : unknownWord(text)
  }
}

const not = (answer: Answer): Answer => (answer === 'maybe' ? answer : !answer)

const unknownWord = (what: string): never => {
  throw new TypeError(`the tracer does not know: ${what}`)
}

const moduleNames: ReadonlySet<string> = new Set([
  ...['tcp', 'udp', 'sctp', 'multiport', 'comment', 'mark', 'conntrack'],
  ...['addrtype', 'statistic', 'recent', 'set', 'nfacct'],
])
const known = (module: string): string => (moduleNames.has(module) ? module : unknownWord(`-m ${module}`))

/** Options by the modules that have them; '' for those of every rule. */
const owners: Readonly<Record<string, readonly string[]>> = {
  '-s': [''],
  '-d': [''],
  '-i': [''],
  '-p': [''],
  '--dport': ['tcp', 'udp', 'sctp'],
  '--dports': ['multiport'],
  '--comment': ['comment'],
  '--mark': ['mark'],
  '--ctstate': ['conntrack'],
  '--dst-type': ['addrtype'],
  '--src-type': ['addrtype'],
  '--mode': ['statistic'],
  '--match-set': ['set'],
  '--nfacct-name': ['nfacct'],
  '--rcheck': ['recent'],
  '--update': ['recent'],
  '--set': ['recent'],
  '--seconds': ['recent'],
  '--reap': ['recent'],
  '--name': ['recent'],
  '--mask': ['recent'],
  '--rsource': ['recent'],
}

const always: Test = () => true

const readTest = (option: string, modules: ReadonlySet<string>, cursor: Cursor): Test => {
  if (!owners[option]?.some((module) => module === '' || modules.has(module))) return unknownWord(option)
  switch (option) {
    case '-s':
    case '-d': {
      const wanted = cursor.value()
      return (packet) => isWithin(option === '-s' ? packet.saddr : packet.daddr, wanted)
    }
    case '-i': {
      const wanted = cursor.value()
      const prefix = wanted.endsWith('+') ? wanted.slice(0, -1) : undefined
      return ({ iifname }) => (prefix === undefined ? iifname === wanted : iifname.startsWith(prefix))
    }
    case '-p': {
      const wanted = cursor.value()
      return ({ protocol }) => protocol === wanted
    }
    case '--dport':
      return readPorts(cursor.value())
    case '--dports':
      return readPorts(...cursor.value().split(','))
    case '--mark': {
      const { value, mask } = readMasked(cursor.value())
      return ({ mark }) => (mark & mask) >>> 0 === value
    }
    case '--ctstate': {
      const states = cursor.value().split(',')
      return ({ translated }) => states.includes('NEW') || (states.includes('DNAT') && translated)
    }
    case '--dst-type':
    case '--src-type': {
      const type = cursor.value()
      if (type !== 'LOCAL') return unknownWord(`${option} ${type}`)
      return ({ saddr, daddr }, { isLocal }) => isLocal(option === '--src-type' ? saddr : daddr)
    }
    case '--mode':
      return readStatistic(cursor)
    case '--match-set': {
      const name = cursor.value()
      const flags = cursor.value()
      return (packet, { sets }) => {
        const set = sets.get(name)
        return set === undefined ? unknownWord(`set ${name}`) : inIpset(set, flags, packet)
      }
    }
    case '--rcheck':
    case '--update':
      return () => 'maybe'
    case '--comment':
    case '--nfacct-name':
    case '--seconds':
    case '--name':
    case '--mask':
      cursor.value()
      return always
    case '--set':
    case '--reap':
    case '--rsource':
      return always
    default:
      return unknownWord(option)
  }
}

const readPorts = (...ranges: readonly string[]): Test => {
  const bounds = ranges.map((range) => {
    const [first = '', last = first] = range.split(':')
    return [Number(first), Number(last)] as const
  })
  return ({ dport }) => bounds.some(([first, last]) => dport >= first && dport <= last)
}

/** By chance, or in turn: either way a packet may and may not meet it, unless chance is none. */
const readStatistic = (cursor: Cursor): Test => {
  const mode = cursor.value()
  if (mode === 'random' && cursor.take('--probability')) {
    const chance = cursor.number()
    return () => (chance >= 1 ? true : chance > 0 ? 'maybe' : false)
  }
  if (mode === 'nth' && cursor.take('--every')) {
    const every = cursor.number()
    if (cursor.take('--packet')) cursor.number()
    return () => (every === 1 ? true : 'maybe')
  }
  return unknownWord(`--mode ${mode}`)
}

const readMasked = (text: string): { readonly value: number; readonly mask: number } => {
  const [value = '', mask = '0xffffffff'] = text.split('/')
  return { value: Number(value) >>> 0, mask: Number(mask) >>> 0 }
}

const readTarget = (cursor: Cursor): Target => {
  const name = cursor.value()
  switch (name) {
    case 'ACCEPT':
      return { kind: 'accept' }
    case 'DROP':
      return { kind: 'drop' }
    case 'RETURN':
      return { kind: 'return' }
    case 'REJECT':
      if (cursor.take('--reject-with') && !/^icmp6?-port-unreachable$/.test(cursor.value()))
        return unknownWord('another --reject-with')
      return { kind: 'reject' }
    case 'MASQUERADE':
      cursor.take('--random-fully')
      return { kind: 'masquerade' }
    case 'DNAT':
      return readDnat(cursor)
    case 'MARK':
      return readMark(cursor)
    default:
      return { kind: 'jump', chain: name }
  }
}

const readDnat = (cursor: Cursor): Target => {
  const option = cursor.value()
  const text = cursor.value()
  const [, v6, v4, port] = /^(?:\[([\da-f:.]+)\]|([\d.]+))(?::(\d+))?$/.exec(text) ?? []
  const address = v6 ?? v4
  if (option !== '--to-destination' || address === undefined) return unknownWord(`${option} ${text}`)
  return { kind: 'dnat', address, port: port === undefined ? undefined : Number(port) }
}

/** The words of libxt_MARK, each as the one that the kernel has: (mark & ~mask) ^ value. */
const readMark = (cursor: Cursor): Target => {
  const option = cursor.value()
  const text = cursor.value()
  const { value, mask } = readMasked(text)
  switch (option) {
    case '--set-xmark':
      return { kind: 'mark', value, mask }
    case '--or-mark':
      return { kind: 'mark', value, mask: value }
    case '--xor-mark':
      return { kind: 'mark', value, mask: 0 }
    default:
      return unknownWord(`${option} ${text}`)
  }
}

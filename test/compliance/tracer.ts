/** A packet's way through a rendered table, all ways at once where a rule draws lots. For our grammar, not for nft's. */
import { cidrContains, parseCidr } from '../../src/model/cidr.ts'
import { parseIP } from '../../src/model/ip.ts'
import type { Fate, PacketTracer, TracedPacket } from './fate.ts'
import { find, type Ruleset } from './ruleset.ts'

type Step =
  | { readonly kind: 'next' | 'return'; readonly packet: TracedPacket }
  /** Out of the hook. */
  | { readonly kind: 'done'; readonly fate: Fate }
  /** The rule applies by luck: translated, or on with the next rule. */
  | { readonly kind: 'fork'; readonly fates: readonly Fate[]; readonly packet: TracedPacket | undefined }

const maskOf = (text: string): number => Number.parseInt(text, 16)

export class Tracer implements PacketTracer {
  readonly #ruleset: Ruleset
  readonly #isLocal: (address: string) => boolean

  /** `isLocal`: whether an address is the node's own, for `fib`. */
  constructor(ruleset: Ruleset, isLocal: (address: string) => boolean) {
    this.#ruleset = ruleset
    this.#isLocal = isLocal
  }

  trace(packet: TracedPacket): readonly Fate[] {
    const first = packet.iifname === '' ? ['output'] : ['prerouting']
    const entered = this.#hooks([{ kind: 'on', packet }], first)
    return entered.flatMap((fate) => {
      if (fate.kind !== 'on') return [fate]
      const local = this.#isLocal(fate.packet.daddr)
      if (packet.iifname === '')
        return this.#hooks([fate], local ? ['postrouting', 'prerouting', 'input'] : ['postrouting'])
      return this.#hooks([fate], local ? ['input'] : ['forward', 'postrouting'])
    })
  }

  #hooks(fates: readonly Fate[], hooks: readonly string[]): readonly Fate[] {
    return hooks.reduce(
      (all, hook) => all.flatMap((fate) => (fate.kind === 'on' ? this.#hook(hook, fate.packet) : [fate])),
      fates,
    )
  }

  /** All base chains of a hook in the order of their priorities. A destination is translated once in a connection's life. */
  #hook(hook: string, packet: TracedPacket): readonly Fate[] {
    const chains = [...this.#ruleset.chains]
      .map(([name, chain]) => ({ name, words: chain.hook?.split(' ') ?? [] }))
      .filter(({ words }) => words[1] === hook)
      .sort((a, b) => Number(a.words[2]) - Number(b.words[2]))
    let fates: readonly Fate[] = [{ kind: 'on', packet }]
    for (const { name, words } of chains) {
      fates = fates.flatMap((fate) => {
        if (fate.kind !== 'on') return [fate]
        const { translated } = fate.packet
        return words[0] === 'nat' && hook !== 'postrouting' && translated ? [fate] : this.#chain(name, fate.packet)
      })
    }
    return fates
  }

  /** From a base chain, or by goto: what is left at its end goes on. */
  #chain(name: string, packet: TracedPacket): readonly Fate[] {
    const { fates, left } = this.#run(name, packet)
    return left === undefined ? fates : [...fates, { kind: 'on', packet: left }]
  }

  #run(
    name: string,
    start: TracedPacket,
  ): { readonly fates: readonly Fate[]; readonly left: TracedPacket | undefined } {
    const chain = this.#ruleset.chains.get(name)
    if (chain === undefined) throw new TypeError(`no chain ${name}`)
    const fates: Fate[] = []
    let packet = start
    for (const rule of chain.rules) {
      const step = this.#rule(rule, packet)
      if (step.kind === 'done') return { fates: [...fates, step.fate], left: undefined }
      if (step.kind === 'fork') {
        fates.push(...step.fates)
        if (step.packet === undefined) return { fates, left: undefined }
        packet = step.packet
      } else if (step.kind === 'return') return { fates, left: step.packet }
      else packet = step.packet
    }
    return { fates, left: packet }
  }

  /** Statements from left to right until one does not hold. */
  #rule(rule: string, start: TracedPacket): Step {
    let packet = start
    let rest = rule
    const take = (pattern: RegExp): readonly string[] | undefined => {
      const match = pattern.exec(rest)
      if (match === null) return undefined
      rest = rest.slice(match[0].length).trimStart()
      return match.slice(1).map((part) => part ?? '')
    }
    const key = '((?:ip6? [sd]addr|meta l4proto|th dport)(?: \\. (?:ip6? [sd]addr|meta l4proto|th dport))*)'
    while (rest !== '') {
      let got = take(/^ct state new\b/)
      if (got !== undefined) continue
      // What is traced is the first packet of its connection.
      if (take(/^tcp flags != syn \/ syn,ack\b/) !== undefined) break
      got = take(/^ct status dnat\b(?: \/ confirmed,dnat\b)?/)
      if (got !== undefined) {
        if (packet.translated) continue
        break
      }
      got = take(new RegExp(`^${key} vmap @(\\S+)`))
      if (got !== undefined) {
        const verdict = this.#lookup(got[1], got[0], packet)
        if (verdict === undefined) break
        rest = verdict
        continue
      }
      got = take(new RegExp(`^${key} (!= )?@(\\S+)`))
      if (got !== undefined) {
        if ((this.#lookup(got[2], got[0], packet) !== undefined) === (got[1] === '')) continue
        break
      }
      got = take(/^ip6? ([sd]addr) (!= )?([\da-f:.]+(?:\/\d+)?)/)
      if (got !== undefined) {
        if (isWithin(got[0] === 'saddr' ? packet.saddr : packet.daddr, got[2] ?? '') === (got[1] === '')) continue
        break
      }
      got = take(/^iifname (!= )?"([^"*]*)(\*?)"/)
      if (got !== undefined) {
        const [not, name = '', star] = got
        if ((star === '*' ? packet.iifname.startsWith(name) : packet.iifname === name) === (not === '')) continue
        break
      }
      got = take(/^fib ([sd])addr type local\b/)
      if (got !== undefined) {
        if (this.#isLocal(got[0] === 's' ? packet.saddr : packet.daddr)) continue
        break
      }
      got = take(/^meta mark & (0x[\da-f]+) != 0/)
      if (got !== undefined) {
        if ((packet.mark & maskOf(got[0] ?? '')) !== 0) continue
        break
      }
      got = take(/^meta mark set meta mark ([|^]) (0x[\da-f]+)/)
      if (got !== undefined) {
        const mask = maskOf(got[1] ?? '')
        packet = { ...packet, mark: (got[0] === '|' ? packet.mark | mask : packet.mark ^ mask) >>> 0 }
        continue
      }
      got = take(
        new RegExp(
          `^dnat to ${key}( \\. (?:numgen|jhash) .* mod (\\d+)(?: seed \\S+)?(?: offset (\\d+))?)? map @(\\S+)$`,
        ),
      )
      if (got !== undefined) return this.#translate(packet, got)
      if (take(/^masquerade fully-random$/) !== undefined)
        return done({ kind: 'on', packet: { ...packet, masqueraded: true } })
      if (take(/^drop$/) !== undefined) return done({ kind: 'drop' })
      if (take(/^reject$/) !== undefined) return done({ kind: 'reject' })
      got = take(/^(goto|jump) (\S+)$/)
      if (got === undefined) throw new TypeError(`the tracer does not know: ${rest}`)
      return this.#branch(got[0] === 'goto', got[1] ?? '', packet)
    }
    return { kind: 'next', packet }
  }

  #branch(forGood: boolean, chain: string, packet: TracedPacket): Step {
    const { fates, left } = this.#run(chain, packet)
    // At the end of a chain entered by goto, the packet is back where that chain's caller was called from.
    if (forGood && left !== undefined)
      return fates.length === 0 ? { kind: 'return', packet: left } : unknownBranch(chain)
    return { kind: 'fork', fates, packet: left }
  }

  #lookup(set = '', fields = '', packet: TracedPacket, last: readonly string[] = []): string | undefined {
    const found = this.#ruleset.sets.get(set)
    if (found === undefined) throw new TypeError(`no set ${set}`)
    const parts = fields.split(' . ').map((field) => fieldOf(packet, field))
    return find(found, [...parts, ...last])
  }

  /** To each target that the slots lead to; and on with the next rule if a slot may be empty. */
  #translate(packet: TracedPacket, [fields, slots, modulus, offset, map]: readonly string[]): Step {
    const count = slots === '' ? 1 : Number(modulus)
    const targets = new Set<string | undefined>()
    for (let i = 0; i < count; i++) {
      const last = slots === '' ? [] : [String(Number(offset === '' ? 0 : offset) + i)]
      targets.add(this.#lookup(map, fields, packet, last))
    }
    const fates = [...targets].flatMap((target): readonly Fate[] => {
      if (target === undefined) return []
      const [daddr = '', dport] = target.split(' . ')
      return [{ kind: 'on', packet: { ...packet, daddr, dport: Number(dport), translated: true } }]
    })
    return { kind: 'fork', fates, packet: targets.has(undefined) ? packet : undefined }
  }
}

const done = (fate: Fate): Step => ({ kind: 'done', fate })

const unknownBranch = (chain: string): never => {
  throw new TypeError(`chain ${chain} both ends and leaves off`)
}

const isWithin = (address: string, wanted: string): boolean => {
  const ip = parseIP(address)
  const cidr = parseCidr(wanted)
  return cidr === undefined ? address === wanted : ip !== undefined && cidrContains(cidr, ip)
}

const fieldOf = (packet: TracedPacket, field: string): string => {
  switch (field) {
    case 'meta l4proto':
      return packet.protocol
    case 'th dport':
      return String(packet.dport)
    default:
      return field.endsWith('saddr') ? packet.saddr : packet.daddr
  }
}

/** A packet's way through tables of iptables, all ways at once where a rule draws lots or takes turns. */
import type { TableName } from '../../src/kernel/iptables/table-name.ts'
import { assertNever } from '../../src/model/assert-never.ts'
import type { Fate, PacketTracer, TracedPacket } from './fate.ts'
import { type ParsedRule, parseRule, type Target, type World } from './iptables-rule.ts'
import type { TextTables } from './iptables-text.ts'

/** What the packets that enter a chain come to: those with a verdict, and those that are still under way. */
interface Walked {
  readonly done: readonly Fate[]
  readonly left: readonly TracedPacket[]
}

interface Place {
  readonly table: TableName
  readonly hook: string
}

/** Tables by hook, in the order of their priorities (linux/netfilter_ipv4.h). */
const hooks: Readonly<Record<string, readonly TableName[]>> = {
  PREROUTING: ['raw', 'mangle', 'nat'],
  INPUT: ['mangle', 'filter', 'security', 'nat'],
  FORWARD: ['mangle', 'filter', 'security'],
  OUTPUT: ['raw', 'mangle', 'nat', 'filter', 'security'],
  POSTROUTING: ['mangle', 'nat'],
}
const forTheNode = 'lo'

export class IptablesTracer implements PacketTracer {
  readonly #tables: ReadonlyMap<TableName, ReadonlyMap<string, readonly ParsedRule[]>>
  readonly #world: World

  /** Throws for a rule that the tracer cannot read and for a jump to a chain that is not there. */
  constructor(tables: TextTables, world: World) {
    this.#world = world
    this.#tables = new Map(
      [...tables].map(([name, table]) => [
        name,
        new Map([...table].map(([chain, rules]) => [chain, rules.map(parseRule)])),
      ]),
    )
    for (const table of this.#tables.values())
      for (const rules of table.values()) for (const { target } of rules) checkTarget(table, target)
  }

  trace(packet: TracedPacket): readonly Fate[] {
    if (packet.iifname !== '')
      return this.#along([packet], ['PREROUTING']).flatMap((fate) => {
        if (fate.kind !== 'on') return [fate]
        return this.#along(
          [fate.packet],
          this.#world.isLocal(fate.packet.daddr) ? ['INPUT'] : ['FORWARD', 'POSTROUTING'],
        )
      })
    return this.#along([packet], ['OUTPUT']).flatMap((fate) => {
      if (fate.kind !== 'on') return [fate]
      const out = this.#along([fate.packet], ['POSTROUTING'])
      if (!this.#world.isLocal(fate.packet.daddr)) return out
      // It comes back in by lo, where nat has had its say already.
      return out.flatMap((looped) =>
        looped.kind === 'on'
          ? this.#along([{ ...looped.packet, iifname: forTheNode }], ['PREROUTING', 'INPUT'])
          : [looped],
      )
    })
  }

  #along(packets: readonly TracedPacket[], names: readonly string[]): readonly Fate[] {
    let fates: readonly Fate[] = packets.map((packet) => ({ kind: 'on', packet }))
    for (const hook of names)
      for (const table of hooks[hook] ?? [])
        fates = unique(
          fates.flatMap((fate) => (fate.kind === 'on' ? this.#hook({ table, hook }, fate.packet) : [fate])),
        )
    return fates
  }

  #hook(place: Place, packet: TracedPacket): readonly Fate[] {
    if (!this.#tables.has(place.table) || (place.table === 'nat' && packet.iifname === forTheNode))
      return [{ kind: 'on', packet }]
    const { done, left } = this.#walk(place, place.hook, [packet])
    return [...done, ...left.map((still): Fate => ({ kind: 'on', packet: still }))]
  }

  #walk(place: Place, chain: string, entering: readonly TracedPacket[]): Walked {
    const rules = this.#tables.get(place.table)?.get(chain)
    if (rules === undefined) throw new TypeError(`no chain ${chain} in ${place.table}`)
    const done: Fate[] = []
    const returned: TracedPacket[] = []
    let packets = entering
    for (const { matches, target } of rules) {
      const next: TracedPacket[] = []
      for (const packet of packets) {
        const answer = matches(packet, this.#world)
        if (answer !== true) next.push(packet)
        if (answer === false) continue
        const { fates, on, back } = this.#apply(place, target, packet)
        done.push(...fates)
        next.push(...on)
        returned.push(...back)
      }
      packets = unique(next)
      if (packets.length === 0) break
    }
    return { done: unique(done), left: unique([...returned, ...packets]) }
  }

  /** `on`: with the next rule; `back`: with the rule behind the one that led to this chain. */
  #apply(
    place: Place,
    target: Target,
    packet: TracedPacket,
  ): { readonly fates: readonly Fate[]; readonly on: readonly TracedPacket[]; readonly back: readonly TracedPacket[] } {
    const ends = (fate: Fate) => ({ fates: [fate], on: [], back: [] })
    switch (target.kind) {
      case 'nothing':
        return { fates: [], on: [packet], back: [] }
      case 'return':
        return { fates: [], on: [], back: [packet] }
      case 'accept':
        return ends({ kind: 'on', packet })
      case 'drop':
        return ends({ kind: 'drop' })
      case 'reject':
        return ends(inPlace(place, 'filter', ['INPUT', 'FORWARD', 'OUTPUT'], { kind: 'reject' }))
      case 'masquerade':
        return ends(inPlace(place, 'nat', ['POSTROUTING'], { kind: 'on', packet: { ...packet, masqueraded: true } }))
      case 'dnat': {
        const to = { daddr: target.address, dport: target.port ?? packet.dport, translated: true }
        return ends(inPlace(place, 'nat', ['PREROUTING', 'OUTPUT'], { kind: 'on', packet: { ...packet, ...to } }))
      }
      case 'mark': {
        const mark = ((packet.mark & ~target.mask) ^ target.value) >>> 0
        return { fates: [], on: [{ ...packet, mark }], back: [] }
      }
      case 'jump': {
        const { done, left } = this.#walk(place, target.chain, [packet])
        return { fates: done, on: left, back: [] }
      }
      case 'goto': {
        const { done, left } = this.#walk(place, target.chain, [packet])
        return { fates: done, on: [], back: left }
      }
      default:
        return assertNever(target, 'target')
    }
  }
}

/** The kernel takes some targets in some tables and hooks only. */
const inPlace = (place: Place, table: TableName, names: readonly string[], fate: Fate): Fate => {
  if (place.table !== table || !names.includes(place.hook))
    throw new TypeError(`a target for ${table} ${names.join(' or ')} in ${place.table} ${place.hook}`)
  return fate
}

const checkTarget = (table: ReadonlyMap<string, unknown>, target: Target): void => {
  if ((target.kind === 'jump' || target.kind === 'goto') && !table.has(target.chain))
    throw new TypeError(`no chain ${target.chain}`)
}

const unique = <T>(values: readonly T[]): readonly T[] =>
  values.length < 2 ? values : [...new Map(values.map((value) => [JSON.stringify(value), value])).values()]

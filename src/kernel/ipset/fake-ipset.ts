import type { Family } from '../../model/ip.ts'
import { isOfShape } from './answers.ts'
import { checkName, checkSpec, notMember } from './check.ts'
import type { Ipset, SetHeader, SetRef, SetSpec } from './ipset.ts'
import { IpsetError } from './ipset-error.ts'
import { noMarks } from './kernel-refusal.ts'
import { type Member, withoutMark } from './member.ts'
import { parseMember } from './member-value.ts'
import { optionsOf } from './serves.ts'

interface FakeSet {
  readonly type: string
  readonly family: Family | undefined
  readonly maxElements: number | undefined
  readonly options: readonly string[]
  /** By what the kernel compares: an exception from a network is the same member as the network, whatever its mark. */
  readonly members: Map<string, Member>
  /** Members of a set that was given as a header: nobody knows which. */
  readonly unknownMembers: number
}

/** Without options unless they are given. */
type GivenSet = Omit<SetHeader, 'options'> & Partial<Pick<SetHeader, 'options'>>

/**
 * {@link Ipset} in memory. As the kernel's, a name goes on having its references when the sets behind two names are
 * exchanged; unlike the kernel, which counts roughly, a hash never has more members than it may.
 */
export class FakeIpset implements Ipset {
  readonly #sets = new Map<string, FakeSet>()
  readonly #references = new Map<string, number>()

  /** `sets` are there from the start, of any type. */
  constructor(sets: Iterable<GivenSet> = []) {
    for (const { name, type, family, maxElements, options = [], entries, references } of sets) {
      this.#sets.set(name, { type, family, maxElements, options, members: new Map(), unknownMembers: entries })
      this.setReferences(name, references)
    }
  }

  /** How many rules hold the set of that name. */
  setReferences(name: string, count: number): void {
    this.#references.set(name, count)
  }

  async list(signal: AbortSignal): Promise<readonly SetHeader[]> {
    signal.throwIfAborted()
    return [...this.#sets].map(([name, { type, family, maxElements, options, members, unknownMembers }]) => ({
      name,
      type,
      family,
      maxElements,
      options,
      entries: members.size + unknownMembers,
      references: this.#references.get(name) ?? 0,
    }))
  }

  async create(spec: SetSpec, signal: AbortSignal): Promise<void> {
    const op = `create ${spec.name}`
    signal.throwIfAborted()
    checkSpec(op, spec)
    const { name, type } = spec
    if (this.#sets.has(name)) throw new IpsetError({ code: 'exists', op, reason: 'there is a set of that name' })
    const isBitmap = type === 'bitmap:port'
    this.#sets.set(name, {
      type,
      family: isBitmap ? undefined : spec.family,
      maxElements: isBitmap ? undefined : spec.maxElements,
      options: optionsOf(spec),
      members: new Map(),
      unknownMembers: 0,
    })
  }

  async destroy(name: string, signal: AbortSignal): Promise<void> {
    const op = `destroy ${name}`
    signal.throwIfAborted()
    checkName(op, name)
    if (!this.#sets.has(name)) return
    if ((this.#references.get(name) ?? 0) > 0) throw new IpsetError({ code: 'busy', op, reason: 'the set is in use' })
    this.#sets.delete(name)
    this.#references.delete(name)
  }

  async swap(one: string, other: string, signal: AbortSignal): Promise<void> {
    const op = `swap ${one} ${other}`
    signal.throwIfAborted()
    checkName(op, one)
    checkName(op, other)
    const first = this.#find(op, one)
    const second = this.#find(op, other)
    if (first.type !== second.type || first.family !== second.family)
      throw new IpsetError({ code: 'typeMismatch', op, reason: 'the sets are of different types' })
    this.#sets.set(one, second)
    this.#sets.set(other, first)
  }

  async rename(from: string, to: string, signal: AbortSignal): Promise<void> {
    const op = `rename ${from} ${to}`
    signal.throwIfAborted()
    checkName(op, from)
    checkName(op, to)
    const found = this.#find(op, from)
    if ((this.#references.get(from) ?? 0) > 0) throw new IpsetError({ code: 'busy', op, reason: 'the set is in use' })
    if (this.#sets.has(to)) throw new IpsetError({ code: 'exists', op, reason: 'there is a set of the new name' })
    this.#sets.delete(from)
    this.#sets.set(to, found)
  }

  async members(set: SetRef, signal: AbortSignal): Promise<readonly Member[]> {
    const op = `list ${set.name}`
    signal.throwIfAborted()
    checkName(op, set.name)
    const members = [...this.#findOfShape(op, set).members.values()]
    return set.marks ? members : members.map(withoutMark)
  }

  async add(set: SetRef, members: Iterable<Member>, signal: AbortSignal): Promise<void> {
    const op = `add ${set.name}`
    this.#change(op, set, members, signal, (found, member) => {
      if (withoutMark(member) !== member && !found.options.includes('skbinfo'))
        throw new IpsetError({ code: 'typeMismatch', op, member, reason: noMarks })
      if (found.type === 'hash:ip' && isNull(member)) throw cannotHold(op, member)
      const key = keyOf(member)
      if (!found.members.has(key) && found.maxElements !== undefined && found.members.size >= found.maxElements)
        throw new IpsetError({ code: 'full', op, member, reason: 'the set is full' })
      found.members.set(key, member)
    })
  }

  async remove(set: SetRef, members: Iterable<Member>, signal: AbortSignal): Promise<void> {
    const op = `remove ${set.name}`
    this.#change(op, set, members, signal, (found, member) => {
      if (found.type === 'hash:ip' && isNull(member)) throw cannotHold(op, member)
      found.members.delete(keyOf(member))
    })
  }

  #change(
    op: string,
    set: SetRef,
    members: Iterable<Member>,
    signal: AbortSignal,
    change: (found: FakeSet, member: Member) => void,
  ): void {
    signal.throwIfAborted()
    checkName(op, set.name)
    let found: FakeSet | undefined
    for (const member of members) {
      found ??= this.#findOfShape(op, set)
      if (parseMember(set, member) === undefined) throw notMember(op, member, set.type)
      change(found, member)
    }
  }

  #find(op: string, name: string): FakeSet {
    const found = this.#sets.get(name)
    if (found === undefined) throw new IpsetError({ code: 'notFound', op, reason: `no set ${name}` })
    return found
  }

  #findOfShape(op: string, set: SetRef): FakeSet {
    const found = this.#find(op, set.name)
    if (isOfShape({ ...found, name: set.name }, set)) return found
    throw new IpsetError({ code: 'typeMismatch', op, reason: `the set is ${found.type}, not ${set.type}` })
  }
}

const keyOf = (member: Member): string => withoutMark(member).replace(/ nomatch$/, '')

/** IPSET_ERR_HASH_ELEM of the kernel's hash:ip. */
const isNull = (member: Member): boolean => member === '0.0.0.0' || member === '::'
const cannotHold = (op: string, member: Member): IpsetError =>
  new IpsetError({ code: 'invalid', op, member, reason: 'the set cannot hold this member' })

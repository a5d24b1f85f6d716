import type { Ipset, SetRef } from '../../kernel/ipset/ipset.ts'
import { IpsetError } from '../../kernel/ipset/ipset-error.ts'
import type { Member } from '../../kernel/ipset/member.ts'
import type { Family } from '../../model/ip.ts'
import type { ObservedSet } from './observe.ts'
import type { SetChanges } from './plan.ts'
import { allSetRoles, type SetRole, setName, setNamePrefix, setRoles } from './sets.ts'

/** Room for this many more than are in a set when it is created, and at least this many. */
const leastRoom = 1024

/** Twice what is needed, as a power of two. */
const capacityFor = (members: number): number => 2 ** Math.ceil(Math.log2(Math.max(leastRoom, 2 * members)))

interface SetState {
  entries: number
  maxElements: number
}

/** The sets of one family in the kernel: creates them at the size they need, and exchanges them for bigger ones. */
export class SetStore {
  readonly #ipset: Ipset
  readonly #family: Family
  readonly #sets = new Map<SetRole, SetState>()
  /** Sets that rules still held when they were to go. */
  readonly #lingering = new Set<string>()
  /** Entries before the last {@link prepare}, of the sets that it adds to. */
  #before: ReadonlyMap<SetRole, number> = new Map()

  constructor(ipset: Ipset, family: Family) {
    this.#ipset = ipset
    this.#family = family
  }

  /** What was found counts from now on. */
  observed(found: ReadonlyMap<string, ObservedSet>): void {
    this.#sets.clear()
    for (const role of rolesOf(found, this.#family)) {
      const header = found.get(setName(role, this.#family))?.header
      if (header === undefined) continue
      const { entries, maxElements = Number.POSITIVE_INFINITY } = header
      this.#sets.set(role, { entries, maxElements })
    }
  }

  /** Before the rules that need them. */
  async prepare({ create, add }: SetChanges, signal: AbortSignal): Promise<void> {
    for (const role of create) await this.#create(role, add.get(role)?.length ?? 0, signal)
    this.#before = new Map([...add.keys()].map((role) => [role, this.#sets.get(role)?.entries ?? 0]))
    for (const [role, members] of add) await this.#add(role, members, signal)
  }

  /** Instead of the rules that would have needed them. What was added was not there before. */
  async takeBack({ add }: Pick<SetChanges, 'add'>, signal: AbortSignal): Promise<void> {
    for (const [role, members] of add) {
      await this.#ipset.remove(this.#ref(role), members, signal)
      const state = this.#sets.get(role)
      if (state !== undefined) state.entries = this.#before.get(role) ?? state.entries
    }
  }

  /** After the rules that needed them. */
  async finish({ remove, destroy }: SetChanges, signal: AbortSignal): Promise<void> {
    for (const [role, members] of remove) {
      await this.#ipset.remove(this.#ref(role), members, signal)
      const state = this.#sets.get(role)
      if (state !== undefined) state.entries -= members.length
    }
    for (const name of destroy) this.#lingering.add(name)
    await this.destroyLingering(signal)
  }

  /** nf_tables lets go of a set some time after the rules that held it; the number of sets that went. */
  async destroyLingering(signal: AbortSignal): Promise<number> {
    let destroyed = 0
    for (const name of this.#lingering) {
      try {
        await this.#ipset.destroy(name, signal)
        destroyed++
      } catch (error) {
        if (!(error instanceof IpsetError) || error.code !== 'busy') throw error
        continue
      }
      this.#lingering.delete(name)
    }
    return destroyed
  }

  /** Whether the sets hold as many members as they should, without reading these. */
  async untouched(signal: AbortSignal): Promise<boolean> {
    const headers = new Map((await this.#ipset.list(signal)).map((header) => [header.name, header]))
    for (const [role, { entries }] of this.#sets) {
      if (headers.get(setName(role, this.#family))?.entries !== entries) return false
    }
    return true
  }

  /** Members by name of the set. */
  *counts(): Generator<readonly [string, number]> {
    for (const [role, { entries }] of this.#sets) yield [setName(role, this.#family), entries]
  }

  async #create(role: SetRole, members: number, signal: AbortSignal): Promise<void> {
    const ref = this.#ref(role)
    const maxElements = capacityFor(members)
    try {
      await this.#ipset.create({ ...ref, maxElements }, signal)
    } catch (error) {
      // The name is ours, so the set is an older version's: of another type, or of the other family.
      if (!(error instanceof IpsetError) || error.code !== 'exists') throw error
      await this.#ipset.destroy(ref.name, signal)
      await this.#ipset.create({ ...ref, maxElements }, signal)
    }
    this.#lingering.delete(ref.name)
    this.#sets.set(role, { entries: 0, maxElements: isHash(role) ? maxElements : Number.POSITIVE_INFINITY })
  }

  async #add(role: SetRole, members: readonly Member[], signal: AbortSignal): Promise<void> {
    const state = this.#sets.get(role)
    if (state === undefined) throw new RangeError(`no set for ${role}`)
    if (state.entries + members.length > state.maxElements) await this.#grow(role, state, members, signal)
    else await this.#ipset.add(this.#ref(role), members, signal)
    state.entries += members.length
  }

  /** Rules hold the set by name, so a bigger one takes its place at once, with everything in it. */
  async #grow(role: SetRole, state: SetState, members: readonly Member[], signal: AbortSignal): Promise<void> {
    const ref = this.#ref(role)
    const maxElements = capacityFor(state.entries + members.length)
    const bigger = { ...ref, name: `${setNamePrefix(this.#family)}GROWN`, maxElements }
    await this.#ipset.destroy(bigger.name, signal)
    await this.#ipset.create(bigger, signal)
    await this.#ipset.add(bigger, await this.#ipset.members(ref, signal), signal)
    await this.#ipset.add(bigger, members, signal)
    await this.#ipset.swap(ref.name, bigger.name, signal)
    await this.#ipset.destroy(bigger.name, signal)
    state.maxElements = maxElements
  }

  #ref(role: SetRole): SetRef {
    return { name: setName(role, this.#family), type: setRoles[role].type, family: this.#family }
  }
}

const isHash = (role: SetRole): boolean => setRoles[role].type.startsWith('hash:')

/** Sets that are what their name says. */
const rolesOf = (found: ReadonlyMap<string, ObservedSet>, family: Family): readonly SetRole[] =>
  allSetRoles.filter((role) => found.get(setName(role, family))?.members !== undefined)

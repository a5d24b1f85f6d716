import { setTimeout as sleep } from 'node:timers/promises'
import type { Ipset, SetRef, SetSpec } from '../../kernel/ipset/ipset.ts'
import { IpsetError } from '../../kernel/ipset/ipset-error.ts'
import type { Member } from '../../kernel/ipset/member.ts'
import type { ObservedSet } from './observed-sets.ts'
import type { SetChanges, SetSchema } from './set-schema.ts'

/** Room for this many more than are in a set when it is created, and at least this many. */
const leastRoom = 1024

/** Twice what is needed, as a power of two. */
const capacityFor = (members: number): number => 2 ** Math.ceil(Math.log2(Math.max(leastRoom, 2 * members)))

/** nf_tables gives up the references of deleted rules in the background, some time after the commit. */
const settleMs = 2_000
const settleStepMs = 50

/** Waits for as long as rules that have just gone may still hold a set. */
export const destroySet = async (ipset: Ipset, name: string, signal: AbortSignal): Promise<void> => {
  for (let waited = 0; ; waited += settleStepMs) {
    try {
      await ipset.destroy(name, signal)
      return
    } catch (error) {
      if (!isError(error, 'busy') || waited >= settleMs) throw error
      await sleep(settleStepMs, undefined, { signal })
    }
  }
}

const isError = (error: unknown, code: IpsetError['code']): boolean =>
  error instanceof IpsetError && error.code === code

interface SetState {
  entries: number
  maxElements: number
}

/**
 * What is done about a set of our name that is no set of ours, and that rules hold. `fail`: the error is thrown.
 * Otherwise it is told, and the set is left out of everything until the next look.
 */
export type OnHeldSet<Role extends string> = 'fail' | ((role: Role, error: IpsetError) => void)

/** The sets of one family in the kernel: creates them at the size they need, and exchanges them for bigger ones. */
export class SetStore<Role extends string> {
  readonly #ipset: Ipset
  readonly #schema: SetSchema<Role>
  readonly #onHeld: OnHeldSet<Role>
  readonly #sets = new Map<Role, SetState>()
  readonly #held = new Set<Role>()
  /** Sets that rules still held when they were to go. */
  readonly #lingering = new Set<string>()
  /** Entries before the last {@link prepare}, of the sets that it adds to. */
  #before: ReadonlyMap<Role, number> = new Map()

  constructor(ipset: Ipset, schema: SetSchema<Role>, onHeld: OnHeldSet<Role> = 'fail') {
    this.#ipset = ipset
    this.#schema = schema
    this.#onHeld = onHeld
  }

  /** What was found counts from now on. */
  observed(found: ReadonlyMap<string, ObservedSet>): void {
    this.#sets.clear()
    this.#held.clear()
    for (const role of this.#schema.roles) {
      const set = found.get(this.#schema.ref(role).name)
      // A set that is not what its name says is made anew.
      if (set?.members === undefined) continue
      const { entries, maxElements = Number.POSITIVE_INFINITY } = set.header
      this.#sets.set(role, { entries, maxElements })
    }
  }

  /** Before what needs them. `settle`: rules that held sets have just gone, so that these may be held a while longer. */
  async prepare(
    { create, add, replace }: Pick<SetChanges<Role>, 'create' | 'add' | 'replace'>,
    signal: AbortSignal,
    { settle = false }: { readonly settle?: boolean } = {},
  ): Promise<void> {
    for (const role of create) await this.#create(role, add.get(role) ?? [], settle, signal)
    this.#before = new Map([...add.keys()].map((role) => [role, this.#sets.get(role)?.entries ?? 0]))
    for (const [role, members] of add) if (!this.#held.has(role)) await this.#add(role, members, signal)
    for (const [role, members] of replace)
      if (!this.#held.has(role)) await this.#ipset.add(this.#schema.ref(role), members, signal)
  }

  /** Instead of what would have needed them. What was added was not there before. */
  async takeBack({ add }: Pick<SetChanges<Role>, 'add'>, signal: AbortSignal): Promise<void> {
    for (const [role, members] of add) {
      const state = this.#sets.get(role)
      if (state === undefined) continue
      await this.#ipset.remove(this.#schema.ref(role), members, signal)
      state.entries = this.#before.get(role) ?? state.entries
    }
  }

  /** After what needed them. */
  async finish({ remove, destroy }: Pick<SetChanges<Role>, 'remove' | 'destroy'>, signal: AbortSignal): Promise<void> {
    for (const [role, members] of remove) {
      const state = this.#sets.get(role)
      if (state === undefined) continue
      await this.#ipset.remove(this.#schema.ref(role), members, signal)
      state.entries -= members.length
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
        if (!isError(error, 'busy')) throw error
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
      if (headers.get(this.#schema.ref(role).name)?.entries !== entries) return false
    }
    return true
  }

  /** Members by name of the set. */
  *counts(): Generator<readonly [string, number]> {
    for (const [role, { entries }] of this.#sets) yield [this.#schema.ref(role).name, entries]
  }

  async #create(role: Role, members: readonly Member[], settle: boolean, signal: AbortSignal): Promise<void> {
    const ref = this.#schema.ref(role)
    const maxElements = capacityFor(members.length)
    const state = { entries: 0, maxElements: ref.type.startsWith('hash:') ? maxElements : Number.POSITIVE_INFINITY }
    const spec = { ...ref, maxElements }
    try {
      await this.#ipset.create(spec, signal)
    } catch (error) {
      // The name is ours, so the set is an older version's: of another type, with other options, or of the other family.
      if (!isError(error, 'exists')) throw error
      if (!(await this.#replace(role, spec, members, settle, signal))) return
    }
    this.#lingering.delete(ref.name)
    this.#sets.set(role, state)
  }

  /** Whether there is a set as it should be now. */
  async #replace(
    role: Role,
    spec: SetSpec,
    members: readonly Member[],
    settle: boolean,
    signal: AbortSignal,
  ): Promise<boolean> {
    try {
      await this.#ipset.destroy(spec.name, signal)
    } catch (error) {
      if (!isError(error, 'busy')) throw error
      // Rules hold the name: they go on with another set under it, where type and family agree.
      if (await this.#trySwap(spec, members, signal)) return true
      const held = settle ? await this.#waitFor(spec.name, signal) : error
      if (held !== undefined) {
        if (this.#onHeld === 'fail' || !(held instanceof IpsetError)) throw held
        this.#held.add(role)
        this.#onHeld(role, held)
        return false
      }
    }
    await this.#ipset.create(spec, signal)
    return true
  }

  /** Destroys it as soon as nothing holds it; otherwise the error. */
  async #waitFor(name: string, signal: AbortSignal): Promise<unknown> {
    try {
      await destroySet(this.#ipset, name, signal)
      return undefined
    } catch (error) {
      if (!isError(error, 'busy')) throw error
      return error
    }
  }

  async #trySwap(spec: SetSpec, members: readonly Member[], signal: AbortSignal): Promise<boolean> {
    const spare = await this.#spare(spec, spec.maxElements, signal)
    try {
      await this.#ipset.add(spare, members, signal)
      await this.#ipset.swap(spec.name, spare.name, signal)
      return true
    } catch (error) {
      if (!isError(error, 'typeMismatch')) throw error
      return false
    } finally {
      await this.#ipset.destroy(spare.name, signal)
    }
  }

  async #add(role: Role, members: readonly Member[], signal: AbortSignal): Promise<void> {
    const state = this.#sets.get(role)
    if (state === undefined) throw new RangeError(`no set for ${role}`)
    if (state.entries + members.length > state.maxElements) await this.#grow(role, state, members, signal)
    else await this.#ipset.add(this.#schema.ref(role), members, signal)
    state.entries += members.length
  }

  /** Rules hold the set by name, so a bigger one takes its place at once, with everything in it. */
  async #grow(role: Role, state: SetState, members: readonly Member[], signal: AbortSignal): Promise<void> {
    const ref = this.#schema.ref(role)
    const maxElements = capacityFor(state.entries + members.length)
    const bigger = await this.#spare(ref, maxElements, signal)
    await this.#ipset.add(bigger, await this.#ipset.members(ref, signal), signal)
    await this.#ipset.add(bigger, members, signal)
    await this.#ipset.swap(ref.name, bigger.name, signal)
    await this.#ipset.destroy(bigger.name, signal)
    state.maxElements = maxElements
  }

  /** An empty set under the name that is there for this; an earlier run may have left one. */
  async #spare(ref: SetRef, maxElements: number, signal: AbortSignal): Promise<SetRef> {
    const spare = { ...ref, name: this.#schema.spare, maxElements }
    await this.#ipset.destroy(spare.name, signal)
    await this.#ipset.create(spare, signal)
    return spare
  }
}

import { beforeEach, describe, expect, it } from 'vitest'
import { Ledger, TestIpset } from '../../../test/kernel/sync-iptables-faults.ts'
import { never } from '../../../test/kernel/sync-rig.ts'
import { ip, port } from '../../../test/property/track-objects.ts'
import { FakeIpset } from '../../kernel/ipset/fake-ipset.ts'
import type { SetRef } from '../../kernel/ipset/ipset.ts'
import { ipPort, type Member, portMember } from '../../kernel/ipset/member.ts'
import type { ObservedSet } from '../rules/observed-sets.ts'
import { noSetChanges, type SetChanges as SetChangesOf } from '../rules/set-schema.ts'
import { SetStore } from '../rules/set-store.ts'
import { type SetRole, setSchema } from './sets.ts'

type SetChanges = SetChangesOf<SetRole>

const members = (from: number, count: number): readonly Member[] =>
  Array.from({ length: count }, (_, i) => ipPort(ip(`10.${(from + i) >> 8}.${(from + i) & 255}.1`), 'TCP', port(80)))

const reject: SetRef = { name: 'WEIR-4-REJECT', type: 'hash:ip,port', family: 'IPv4' }

const changes = (over: Partial<SetChanges>): SetChanges => ({ ...noSetChanges(), ...over })
const adding = (role: SetRole, list: readonly Member[]): SetChanges => changes({ add: new Map([[role, list]]) })
const removing = (role: SetRole, list: readonly Member[]): SetChanges => changes({ remove: new Map([[role, list]]) })

let kernel: FakeIpset
let ledger: Ledger
let store: SetStore<SetRole>
const done = (): readonly string[] =>
  ledger.operations.map((operation) => ('set' in operation ? `${operation.kind} ${operation.set}` : operation.kind))
const header = async (name: string) => (await kernel.list(never)).find((each) => each.name === name)

const begin = (sets: ConstructorParameters<typeof FakeIpset>[0] = []): void => {
  kernel = new FakeIpset(sets)
  ledger = new Ledger()
  store = new SetStore(new TestIpset(kernel, ledger), setSchema('IPv4'))
}
beforeEach(() => begin())

describe('a set', () => {
  it('has room for twice what it is made with, and for 1024 at least', async () => {
    await store.prepare(
      changes({ create: ['REJECT', 'DROP', 'NP-TCP'], add: new Map([['DROP', members(0, 3000)]]) }),
      never,
    )
    expect(await header('WEIR-4-REJECT')).toMatchObject({ maxElements: 1024, entries: 0 })
    expect(await header('WEIR-4-DROP')).toMatchObject({ maxElements: 8192, entries: 3000 })
    expect(await header('WEIR-4-NP-TCP')).toMatchObject({ type: 'bitmap:port', maxElements: undefined })
  })

  it('that gets too small is exchanged for a bigger one while rules hold it', async () => {
    await store.prepare(changes({ create: ['REJECT'] }), never)
    await store.prepare(adding('REJECT', members(0, 1024)), never)
    kernel.setReferences('WEIR-4-REJECT', 1)
    ledger.begin()
    await store.prepare(adding('REJECT', members(1024, 1)), never)
    expect(done()).toEqual([
      'destroy WEIR-4-GROWN',
      'create WEIR-4-GROWN',
      'add WEIR-4-GROWN',
      'add WEIR-4-GROWN',
      'swap WEIR-4-REJECT',
      'destroy WEIR-4-GROWN',
    ])
    expect(await header('WEIR-4-REJECT')).toMatchObject({ maxElements: 4096, entries: 1025, references: 1 })
    expect(new Set(await kernel.members(reject, never))).toEqual(new Set(members(0, 1025)))
    ledger.begin()
    await store.prepare(adding('REJECT', members(1025, 3071)), never)
    expect(done(), 'and then has room for a while').toEqual(['add WEIR-4-REJECT'])
    expect([...store.counts()]).toEqual([['WEIR-4-REJECT', 4096]])
  })

  it('grows again and again, and never shrinks', async () => {
    await store.prepare(changes({ create: ['REJECT'] }), never)
    for (let from = 0; from < 20_000; from += 700) await store.prepare(adding('REJECT', members(from, 700)), never)
    expect(await header('WEIR-4-REJECT')).toMatchObject({ maxElements: 65_536, entries: 20_300 })
    await store.finish(removing('REJECT', members(0, 20_000)), never)
    expect(await header('WEIR-4-REJECT')).toMatchObject({ maxElements: 65_536, entries: 300 })
  })

  it('of ports never grows', async () => {
    await store.prepare(changes({ create: ['NP-TCP'] }), never)
    const ports = Array.from({ length: 5000 }, (_, i) => portMember(port(i + 1)))
    ledger.begin()
    await store.prepare(adding('NP-TCP', ports), never)
    expect(done()).toEqual(['add WEIR-4-NP-TCP'])
  })
})

describe('what an earlier run left', () => {
  const left = (name: string, type: string, references: number, family: 'IPv4' | 'IPv6' | undefined = 'IPv4') => ({
    ...{ name, type, family, maxElements: 8, options: [], entries: 5, references },
  })

  it('while it exchanged a set is cleared away before the next exchange', async () => {
    begin([left('WEIR-4-GROWN', 'hash:ip', 0)])
    await store.prepare(changes({ create: ['REJECT'] }), never)
    await store.prepare(adding('REJECT', members(0, 2000)), never)
    expect((await kernel.list(never)).map(({ name }) => name)).toEqual(['WEIR-4-REJECT'])
    expect(await header('WEIR-4-REJECT')).toMatchObject({ type: 'hash:ip,port', entries: 2000 })
  })

  it.each([
    ['type', left('WEIR-4-REJECT', 'hash:net', 0)],
    ['family', left('WEIR-4-REJECT', 'hash:ip,port', 0, 'IPv6')],
  ])('is replaced when it is of another %s', async (_, set) => {
    begin([set])
    await store.prepare(changes({ create: ['REJECT'], add: new Map([['REJECT', members(0, 3)]]) }), never)
    expect(await header('WEIR-4-REJECT')).toMatchObject({ type: 'hash:ip,port', family: 'IPv4', entries: 3 })
  })

  it('is said to be in the way as long as rules hold a set of our name and another type', async () => {
    begin([left('WEIR-4-REJECT', 'hash:net', 1)])
    const prepared = store.prepare(changes({ create: ['REJECT'] }), never)
    await expect(prepared).rejects.toMatchObject({ code: 'busy', op: 'destroy WEIR-4-REJECT' })
    kernel.setReferences('WEIR-4-REJECT', 0)
    await store.prepare(changes({ create: ['REJECT'] }), never)
    expect(await header('WEIR-4-REJECT')).toMatchObject({ type: 'hash:ip,port' })
  })

  it('goes as soon as no rule holds it', async () => {
    begin([left('WEIR-4-OLD', 'hash:ip', 2)])
    await store.finish(changes({ destroy: ['WEIR-4-OLD'] }), never)
    expect(await store.destroyLingering(never)).toBe(0)
    kernel.setReferences('WEIR-4-OLD', 0)
    expect(await store.destroyLingering(never)).toBe(1)
    expect(await kernel.list(never)).toEqual([])
    expect(await store.destroyLingering(never)).toBe(0)
  })
})

describe('what others do to a set', () => {
  const observe = async (): Promise<void> => {
    const found = new Map<string, ObservedSet>()
    for (const each of await kernel.list(never))
      found.set(each.name, { header: each, members: new Set(await kernel.members(reject, never)) })
    store.observed(found)
  }

  beforeEach(async () => {
    await store.prepare(changes({ create: ['REJECT'], add: new Map([['REJECT', members(0, 10)]]) }), never)
  })

  it('is noticed by its number of members, or by its absence', async () => {
    expect(await store.untouched(never)).toBe(true)
    await kernel.add(reject, members(50, 1), never)
    expect(await store.untouched(never)).toBe(false)
    await kernel.remove(reject, members(50, 1), never)
    expect(await store.untouched(never)).toBe(true)
    await kernel.remove(reject, members(0, 10), never)
    expect(await store.untouched(never)).toBe(false)
    await kernel.destroy(reject.name, never)
    expect(await store.untouched(never)).toBe(false)
  })

  it('may fill it: that is an error, and after another look there is room', async () => {
    await kernel.add(reject, members(100, 1014), never)
    await expect(store.prepare(adding('REJECT', members(10, 2)), never)).rejects.toMatchObject({ code: 'full' })
    await observe()
    await store.prepare(adding('REJECT', members(10, 2)), never)
    expect(await header('WEIR-4-REJECT')).toMatchObject({ maxElements: 4096, entries: 1026 })
  })

  it('does not confuse what is taken back', async () => {
    ledger.begin([
      { at: 9, kind: 'lost' },
      { at: 0, kind: 'program' },
    ])
    const more = adding('REJECT', members(10, 6))
    await expect(store.prepare(more, never)).rejects.toMatchObject({ code: 'invalid' })
    expect(await header('WEIR-4-REJECT'), 'half of it is in').toMatchObject({ entries: 13 })
    await store.takeBack(more, never)
    expect(await header('WEIR-4-REJECT')).toMatchObject({ entries: 10 })
    expect(await store.untouched(never)).toBe(true)
  })
})

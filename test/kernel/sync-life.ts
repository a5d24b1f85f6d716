import assert from 'node:assert/strict'
import { layoutMarker } from '../../src/backends/nftables/structure.ts'
import type { ModelChange } from '../../src/model/change.ts'
import type { IP } from '../../src/model/ip.ts'
import type { FamilySync } from '../../src/sync/family.ts'
import { chainMessages, leastElements, messagesIn, type Wanted, wantedOf, wireElements } from './sync-expected.ts'
import type { TestClient } from './sync-faults.ts'
import { finalObjects, Rig } from './sync-rig.ts'
import type { Life, Step } from './sync-world.ts'

/** What happened in many lives, to show that they were worth living. */
export class Tally {
  partial = 0
  full = 0
  failed = 0
  /** Elements that partial syncs wrote, and how many were there at the time. */
  written = 0
  present = 0
}

/** One node under test: lives through steps, checks every sync on the way. */
export class NodeUnderTest {
  readonly rig: Rig
  readonly #client: TestClient
  readonly #life: Life
  readonly #tally: Tally
  readonly #history: ModelChange[] = []
  #addresses: readonly IP[] = []
  /** By family: what the last successful sync left in the kernel. */
  readonly #written = new Map<FamilySync, Wanted>()

  constructor(life: Life, client: TestClient, tally: Tally) {
    this.#life = life
    this.#client = client
    this.#tally = tally
    this.rig = new Rig({ client, settings: life.settings })
  }

  async live(): Promise<void> {
    for (const step of this.#life.steps) await this.#step(step)
    // As long as something is refused, it is tried again.
    this.#client.begin()
    for (let tries = 0; (await this.#sync([])) !== undefined; tries++) assert.ok(tries < 5, 'settles')
    await this.rig.tidy()
  }

  /** Another process that starts with the final objects and does one full sync. */
  async freshStart(client: TestClient): Promise<Rig> {
    const fresh = new Rig({ client, settings: this.#life.settings })
    fresh.apply(...finalObjects(this.#history))
    fresh.setAddresses(this.#addresses)
    await fresh.mustSync()
    return fresh
  }

  async #step(step: Step): Promise<void> {
    switch (step.kind) {
      case 'changes':
        this.rig.apply(...step.batch)
        this.#history.push(...step.batch)
        return
      case 'addresses':
        this.#addresses = step.addresses
        this.rig.setAddresses(step.addresses)
        return
      case 'sync':
        await this.#sync(step.faults)
        return
      case 'tidy':
        this.#client.begin()
        await this.rig.tidy()
    }
  }

  async #sync(faults: Parameters<TestClient['begin']>[0]): Promise<unknown> {
    const { rig } = this
    const toldBefore = rig.told.length
    this.#client.begin(faults)
    const planned = rig.backends.map(({ plans }) => plans.length)
    const injected = this.#client.injected
    const error = await rig.sync()
    if (error !== undefined) {
      this.#tally.failed++
      if (this.#client.injected === injected) throw error
    }
    const told = rig.told.slice(toldBefore)
    rig.families.forEach((family, i) => {
      const applied = told.find(
        ({ name, event }) => name === 'applied' && 'family' in event && event.family === family.family,
      )
      if (applied?.name !== 'applied') return
      const { kind } = applied.event
      this.#tally[kind]++
      const after = wantedOf(rig.desired.host(family.family), [...family.applied().values()].flat())
      const before = this.#written.get(family)
      this.#written.set(family, after)
      if (kind === 'full' || before === undefined) return
      const plan = rig.backends[i]?.plans.at(-1)
      assert.ok(plan !== undefined && (rig.backends[i]?.plans.length ?? 0) === (planned[i] ?? 0) + 1, 'one plan a sync')
      this.#checkPartial(before, after, plan.batch.messages === 0 ? undefined : plan.batch.finish())
    })
    if (
      told.every(({ name, event }) => name !== 'applied' || ('kind' in event && event.kind === 'partial')) &&
      error === undefined
    )
      assert.equal(this.#client.dumps, 0, 'a partial sync reads nothing back')
    return error
  }

  /** Exactly the difference was written, whatever the size of the cluster. */
  #checkPartial(before: Wanted, after: Wanted, bytes: Uint8Array | undefined): void {
    const all = bytes === undefined ? [] : wireElements([bytes])
    // Ends of intervals are written anew or not at all.
    const wire = all.filter((each) => !isEnd(each))
    const least = leastElements(before, after)
    assert.equal(
      all.length > wire.length,
      least.some(isEnd) && [...after.elements.values()].some(({ set }) => set === 'service-cidrs'),
      'intervals are written if they differ',
    )
    const extra = difference(wire, least)
    assert.deepEqual(
      difference(
        least.filter((each) => !isEnd(each)),
        wire,
      ),
      [],
      'every difference is written',
    )
    // What one service port hands over to another may be deleted and added again in the same transaction.
    const again = (op: string): readonly string[] =>
      extra.filter((each) => each.startsWith(op)).map((each) => each.slice(op.length))
    assert.deepEqual(again('add '), again('delete '), 'nothing else is touched')
    const structure = layoutMarker(before.host) !== layoutMarker(after.host)
    const messages = bytes === undefined ? 0 : messagesIn(bytes)
    // One more empties a set of intervals, and one marks the structure.
    const sets = 1 + (structure ? 1 : 0) + new Set(all.map((each) => each.split(' ').slice(0, 2).join(' '))).size
    const long = Math.floor((wire.length * 120) / 65_536)
    assert.ok(
      messages <= chainMessages(before, after, structure) + sets + long,
      `${messages} messages for ${wire.length} elements`,
    )
    this.#tally.written += wire.length
    this.#tally.present += after.elements.size
  }
}

const isEnd = (wire: string): boolean => wire.includes(' service-cidrs ')

const difference = (a: readonly string[], b: readonly string[]): readonly string[] => {
  const other = new Set(b)
  return a.filter((each) => !other.has(each))
}

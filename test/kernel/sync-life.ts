import assert from 'node:assert/strict'
import type { Backend } from '../../src/backends/backend.ts'
import { layoutMarker } from '../../src/backends/nftables/structure.ts'
import type { ModelChange } from '../../src/model/change.ts'
import type { ServiceState } from '../../src/model/desired.ts'
import type { HostState } from '../../src/model/host.ts'
import type { IP } from '../../src/model/ip.ts'
import type { FamilySync } from '../../src/sync/family.ts'
import { chainMessages, leastElements, messagesIn, type Wanted, wantedOf, wireElements } from './sync-expected.ts'
import type { TestClient } from './sync-faults.ts'
import { type BackendRig, finalObjects, Rig } from './sync-rig.ts'
import type { Fault, Life, Step } from './sync-world.ts'

/** What happened in many lives, to show that they were worth living. */
export class Tally {
  partial = 0
  full = 0
  failed = 0
  /** What partial syncs wrote (elements; lines and members), and how much was there at the time. */
  written = 0
  present = 0
}

/** One node under test: lives through steps, checks every sync on the way. `W`: all that the kernel has to hold. */
export abstract class LivingNode<B extends Backend, W> {
  readonly rig: BackendRig<B>
  protected readonly tally: Tally
  readonly #life: Life
  readonly #history: ModelChange[] = []
  #addresses: readonly IP[] = []
  /** By family: what the last successful sync left in the kernel. */
  readonly #written = new Map<FamilySync, W>()

  constructor(life: Life, rig: BackendRig<B>, tally: Tally) {
    this.#life = life
    this.rig = rig
    this.tally = tally
  }

  /** What comes next is a new sync, in which these faults happen. */
  protected abstract begin(faults: readonly Fault[]): void
  /** Faults that have happened, ever. */
  protected abstract injected(): number
  /** Looks at the kernel since {@link begin}. */
  protected abstract looks(): number
  /** Worked out from all states at once. */
  protected abstract wanted(host: HostState, states: readonly ServiceState[], backend: B): W
  protected abstract plans(backend: B): number
  /** The last plan of the backend was exactly the difference, whatever the size of the cluster. */
  protected abstract checkPartial(before: W, after: W, backend: B): void

  async live(): Promise<void> {
    for (const step of this.#life.steps) await this.#step(step)
    // As long as something is refused, it is tried again.
    this.begin([])
    await this.#settle()
    for (const family of this.rig.families) if (family.leftOut().size > 0) family.distrust('leftOut')
    await this.#settle()
    await this.rig.tidy()
  }

  /** Another process that starts with the final objects and does one full sync. */
  async succeed<R extends BackendRig<Backend>>(fresh: R): Promise<R> {
    fresh.apply(...finalObjects(this.#history))
    fresh.setAddresses(this.#addresses)
    await fresh.mustSync()
    return fresh
  }

  async #settle(): Promise<void> {
    for (let tries = 0; (await this.#sync([])) !== undefined; tries++) assert.ok(tries < 5, 'settles')
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
        this.begin([])
        await this.rig.tidy()
    }
  }

  async #sync(faults: readonly Fault[]): Promise<unknown> {
    const { rig, tally } = this
    const toldBefore = rig.told.length
    this.begin(faults)
    const planned = rig.backends.map((backend) => this.plans(backend))
    const injected = this.injected()
    const error = await rig.sync()
    if (error !== undefined) {
      tally.failed++
      if (this.injected() === injected) throw error
    }
    const told = rig.told.slice(toldBefore)
    rig.families.forEach((family, i) => {
      const applied = told.find(
        ({ name, event }) => name === 'applied' && 'family' in event && event.family === family.family,
      )
      if (applied?.name !== 'applied') return
      const { kind } = applied.event
      tally[kind]++
      const backend = rig.backends[i]
      assert.ok(backend !== undefined)
      const after = this.wanted(rig.desired.host(family.family), [...family.applied().values()].flat(), backend)
      const before = this.#written.get(family)
      this.#written.set(family, after)
      if (kind === 'full' || before === undefined) return
      assert.equal(this.plans(backend), (planned[i] ?? 0) + 1, 'one plan a sync')
      this.checkPartial(before, after, backend)
    })
    if (
      told.every(({ name, event }) => name !== 'applied' || ('kind' in event && event.kind === 'partial')) &&
      error === undefined
    )
      assert.equal(this.looks(), 0, 'a partial sync reads nothing back')
    return error
  }
}

type RecordingBackend = Rig['backends'][number]

/** With nftables. */
export class NodeUnderTest extends LivingNode<RecordingBackend, Wanted> {
  readonly #client: TestClient
  readonly #life: Life

  constructor(life: Life, client: TestClient, tally: Tally) {
    super(life, new Rig({ client, settings: life.settings }), tally)
    this.#client = client
    this.#life = life
  }

  freshStart(client: TestClient): Promise<Rig> {
    return this.succeed(new Rig({ client, settings: this.#life.settings }))
  }

  protected begin(faults: readonly Fault[]): void {
    this.#client.begin(faults)
  }

  protected injected(): number {
    return this.#client.injected
  }

  protected looks(): number {
    return this.#client.dumps
  }

  protected wanted(host: HostState, states: readonly ServiceState[]): Wanted {
    return wantedOf(host, states)
  }

  protected plans({ plans }: RecordingBackend): number {
    return plans.length
  }

  protected checkPartial(before: Wanted, after: Wanted, { plans }: RecordingBackend): void {
    const batch = plans.at(-1)?.batch
    assert.ok(batch !== undefined)
    this.#check(before, after, batch.messages === 0 ? undefined : batch.finish())
  }

  #check(before: Wanted, after: Wanted, bytes: Uint8Array | undefined): void {
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
    this.tally.written += wire.length
    this.tally.present += after.elements.size
  }
}

const isEnd = (wire: string): boolean => wire.includes(' service-cidrs ')

const difference = (a: readonly string[], b: readonly string[]): readonly string[] => {
  const other = new Set(b)
  return a.filter((each) => !other.has(each))
}

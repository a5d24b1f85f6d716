/** Schedulers that go by what is open (S8.2): connections are held, so that each pick follows from those before it. */
import t from 'tap'
import type { Scheduler } from '../../src/model/scheduling.ts'
import { type Net, nets, type PodName, port } from '../flows/net.ts'
import { exposed, type Manifest, ready } from '../flows/objects.ts'
import type { Held } from '../support/host-protocol.ts'
import type { BackendUnderTest } from './backend-under-test.ts'
import { isShare } from './scheduling.ts'
import { defaultSettings } from './settings.ts'
import type { Stage } from './stage.ts'
import { withNode } from './with-node.ts'

/** One that can tell how many connections it has. */
export interface CountingBackend extends BackendUnderTest {
  /** What a scheduler counts together. */
  readonly countsOf: 'servicePort' | 'address'
  /** Resolves when so many are open. */
  connectionsAre(count: number): Promise<void>
}

/** Endpoints in the order of a scheduler's list, S3.5: by address, as text. */
const listed = (net: Net): readonly [PodName, PodName, PodName] =>
  net.family === 'IPv4' ? ['pod-1', 'pod-2', 'remote-1'] : ['remote-1', 'pod-1', 'pod-2']

type Weights = readonly [number, number, number]

interface Sequence {
  readonly scheduler: Scheduler
  readonly weights: Weights
  /**
   * `1A`: the next connection, to the first address, goes to the first endpoint of the list and stays open. `-A`: all
   * connections to that one are closed.
   */
  readonly steps: string
}

/** Counts of a service port: its addresses have them in common. */
const perServicePort: readonly Sequence[] = [
  { scheduler: 'lc', weights: [4, 2, 1], steps: '1A 1B 1C 2A 2B 1C -B 1B 1B 1A' },
  { scheduler: 'wlc', weights: [4, 2, 1], steps: '1A 1B 1C 1A 1A 1B 1A -A 1A 1A 1A 1A' },
  { scheduler: 'sed', weights: [4, 2, 1], steps: '1A 1A 1B 1A 1A 1B 1C -C 1C -B 1B 1B' },
  { scheduler: 'nq', weights: [4, 2, 1], steps: '1A 1B 1C 1A 1A 1A 1B -C 1C' },
  { scheduler: 'fo', weights: [1, 3, 2], steps: '1B 1B 2B 1B 1B' },
  { scheduler: 'ovf', weights: [1, 3, 2], steps: '1B 1B 2B 1B 1C 1C 1C 1A 1A -B 1B' },
  // The first address stays with A until A has more than its weight and another has less than half of its own.
  { scheduler: 'lblc', weights: [4, 4, 4], steps: '1A 2B 1A 1A 1A 1A 1C 1C 2B -A 1C' },
  // As before, but C joins A, and does not take its place.
  { scheduler: 'lblcr', weights: [4, 4, 4], steps: '1A 2B 1A 1A 1A 1A 1C 1C 2B -A 1A' },
]

/** Counts of each address for itself; and 256 that are closed, but not yet forgotten, are as many as one that is open. */
const perAddress: readonly Sequence[] = [
  { scheduler: 'lc', weights: [4, 2, 1], steps: '1A 1B 1C 2A 2B 1A 1B 1C -B 1B 1B 1A 2C' },
  { scheduler: 'wlc', weights: [4, 2, 1], steps: '1A 1B 1C 1A 1A 1B 1A 2A -A 1A 1A 1A 1A' },
  { scheduler: 'sed', weights: [4, 2, 1], steps: '1A 1A 1B 1A 2A 1A 1B 1C -C 1C -B 1B 1B' },
  { scheduler: 'nq', weights: [4, 2, 1], steps: '1A 1B 2A 1C 1A 1A 1A 1B -C 1C' },
  { scheduler: 'fo', weights: [1, 3, 2], steps: '1B 1B 2B 1B 1B' },
  { scheduler: 'ovf', weights: [1, 3, 2], steps: '1B 1B 1B 1B 2B 1C 1C 1C 1A 1A -B 1B' },
  { scheduler: 'lblc', weights: [4, 4, 4], steps: '1A 1A 1A 1A 1A 2A 1B 1B -A 1B' },
  { scheduler: 'lblcr', weights: [4, 4, 4], steps: '1A 1A 1A 1A 1A 2A 1B 1B -A 1A' },
]

/** Each sequence has addresses of its own: a kernel may still remember what was closed at others. */
type Addresses = readonly [string, string]
const addressesOf = (net: Net, sequence: number): Addresses => [
  net.externalIP(2 * sequence + 1),
  net.externalIP(2 * sequence + 2),
]

const objectsOf = (
  net: Net,
  scheduler: Scheduler,
  weights: Weights,
  pods: readonly PodName[],
  externalIPs: Addresses = addressesOf(net, 0),
): readonly Manifest[] =>
  withNode([
    exposed(net, 'TCP', {
      annotations: {
        'weir.dev/scheduler': scheduler,
        'weir.dev/weights': JSON.stringify(Object.fromEntries(listed(net).map((pod, i) => [pod, weights[i]]))),
      },
      spec: { externalIPs },
    }),
    ready(net, 'TCP', ...pods),
  ])

/** Connections of `client` that stay open. */
class Open {
  readonly #stage: Stage
  readonly #backend: CountingBackend
  readonly #held: Held[] = []

  constructor(stage: Stage, backend: CountingBackend) {
    this.#stage = stage
    this.#backend = backend
  }

  /** Who got it. */
  async hold(address: string): Promise<string> {
    const held = await this.#stage.host('client').hold({ address, port, timeoutMs: 10_000 })
    this.#held.push(held)
    return nameOf(held)
  }

  /** Closes all connections that `name` got; undefined: all there are. Resolves when the proxy knows. */
  async release(name?: string): Promise<void> {
    const leaving = this.#held.filter((held) => name === undefined || nameOf(held) === name)
    for (const held of leaving) {
      this.#held.splice(this.#held.indexOf(held), 1)
      await this.#stage.host('client').release(held.connection)
    }
    await this.#backend.connectionsAre(this.#held.length)
  }
}

const nameOf = ({ outcome }: Held): string => (outcome.kind === 'answered' ? outcome.name : outcome.kind)

/** `only`: of the sequences, those of these schedulers, and nothing else. */
export const playSchedulers = async (
  backend: CountingBackend,
  stage: Stage,
  only?: readonly Scheduler[],
): Promise<void> => {
  for (const net of nets) {
    const names = listed(net)
    const letters = new Map<string, string>(names.map((pod, i) => [pod, 'ABC'.charAt(i)]))
    const letterOf = (name: string): string => letters.get(name) ?? name

    const sequences = backend.countsOf === 'address' ? perAddress : perServicePort
    for (const [i, { scheduler, weights, steps }] of sequences.entries()) {
      if (only?.includes(scheduler) === false) continue
      await t.test(`S8.2 S8.3 ${scheduler}: ${steps}, ${net.family}, ${backend.name}`, async (t) => {
        const addresses = addressesOf(net, i)
        await backend.start(objectsOf(net, scheduler, weights, names, addresses), defaultSettings)
        const open = new Open(stage, backend)
        const seen: string[] = []
        for (const step of steps.split(' ')) {
          const [what, letter = ''] = step
          if (what === '-') await open.release(names['ABC'.indexOf(letter)])
          seen.push(what === '-' ? step : `${what}${letterOf(await open.hold(addresses[what === '1' ? 0 : 1]))}`)
        }
        t.equal(seen.join(' '), steps)
        await open.release()
        await end(backend)
      })
    }

    if (only !== undefined) continue

    await t.test(`S8.2 fo: when the heaviest is drained, the next one, ${net.family}, ${backend.name}`, async (t) => {
      const open = new Open(stage, backend)
      await backend.start(objectsOf(net, 'fo', [1, 3, 2], names), defaultSettings)
      t.equal(letterOf(await open.hold(net.externalIP(1))), 'B')
      await backend.update(objectsOf(net, 'fo', [1, 0, 2], names))
      t.equal(letterOf(await open.hold(net.externalIP(1))), 'C')
      await backend.update(objectsOf(net, 'fo', [1, 3, 2], names))
      t.equal(letterOf(await open.hold(net.externalIP(1))), 'B')
      await open.release()
      await end(backend)
    })

    await t.test(`S8.2 twos: of two drawn the less busy, ${net.family}, ${backend.name}`, async (t) => {
      const open = new Open(stage, backend)
      const busy = names[2]
      await backend.start(objectsOf(net, 'twos', [1, 1, 1], [busy]), defaultSettings)
      const held = await Promise.all(Array.from({ length: 20 }, () => open.hold(net.externalIP(1))))
      t.same(new Set(held), new Set([busy]))
      await backend.update(objectsOf(net, 'twos', [1, 1, 1], names))
      const asked = { address: net.externalIP(1), port, count: 150, parallel: 1, timeoutMs: 10_000 }
      const outcomes = await stage.host('client').connect(asked)
      const hits = outcomes.filter((outcome) => outcome.kind === 'answered' && outcome.name === busy).length
      // Numbers are drawn from 0 to 3, and only 3 means the last one: it has to be drawn twice.
      t.ok(isShare(hits, outcomes.length, 1 / 16), `the busy one has ${hits} of ${outcomes.length}`)
      await open.release()
      await end(backend)
    })
  }
}

const end = async (backend: CountingBackend): Promise<void> => {
  await backend.stop()
  await backend.cleanup()
}

/** How connections are shared out (S8.2, S8.3): exact sequences, shares within bounds, and which flows move. */
import t from 'tap'
import type { Scheduler, SchedulerFlag } from '../../src/model/scheduling.ts'
import { type Net, nets, nodePort, type PodName, port } from '../flows/net.ts'
import { exposed, type Front, ready } from '../flows/objects.ts'
import type { Outcome } from '../support/host-protocol.ts'
import type { BackendUnderTest } from './backend-under-test.ts'
import { forgetConnections } from './conntrack.ts'
import { type Answers, askCrowd, clientsOf, moved } from './crowd.ts'
import { defaultSettings } from './settings.ts'
import type { Stage } from './stage.ts'
import { withNode } from './with-node.ts'

interface Scheduled {
  readonly scheduler?: Scheduler
  readonly flags?: readonly SchedulerFlag[]
  readonly weights?: Readonly<Record<string, number>>
  readonly pods?: readonly PodName[]
  readonly protocol?: 'TCP' | 'UDP'
  readonly externalIPs?: readonly string[]
}

const three: readonly PodName[] = ['pod-1', 'pod-2', 'remote-1']
const four: readonly PodName[] = [...three, 'remote-2']
const { signal } = new AbortController()

/** One Service in one family. */
const objectsOf = (net: Net, scheduled: Scheduled) => {
  const { scheduler, flags = [], weights, pods = three, protocol = 'TCP', externalIPs } = scheduled
  return withNode([
    exposed(net, protocol, {
      annotations: {
        ...(scheduler === undefined ? {} : { 'weir.dev/scheduler': scheduler }),
        ...(flags.length === 0 ? {} : { 'weir.dev/scheduler-flags': flags.join(',') }),
        ...(weights === undefined ? {} : { 'weir.dev/weights': JSON.stringify(weights) }),
      },
      ...(externalIPs === undefined ? {} : { spec: { externalIPs } }),
    }),
    ready(net, protocol, ...pods),
  ])
}

const nameOf = (outcome: Outcome): string => (outcome.kind === 'answered' ? outcome.name : outcome.kind)

/** So many standard deviations that chance leaves them once in 10^7 times, in either direction. */
const deviations = 5.4

export const isShare = (hits: number, tries: number, share: number): boolean =>
  Math.abs(hits - tries * share) <= deviations * Math.sqrt(tries * share * (1 - share))

const letters: ReadonlyMap<string, string> = new Map(three.map((pod, i) => [pod, 'ABC'.charAt(i)]))
const letterOf = (name: string): string => letters.get(name) ?? '?'

type Assertions = Pick<typeof t, 'same' | 'ok' | 'not'>
type Scenario = (t: Assertions, net: Net) => Promise<void>

export class SchedulingScenarios {
  readonly #backend: BackendUnderTest
  readonly #stage: Stage

  constructor(backend: BackendUnderTest, stage: Stage) {
    this.#backend = backend
    this.#stage = stage
  }

  /** What each scheduler does, for those that the backend declares; `only`: for these. */
  async play(only?: readonly Scheduler[]): Promise<void> {
    const scenarios: readonly (readonly [Scheduler, string, Scenario])[] = [
      // First, while few old connections are around: what meets one that waits to end tries again, and that is a turn too.
      ['rr', 'takes turns', (t, net) => this.#cycle(t, net, { scheduler: 'rr' }, 'ABC')],
      ['rr', 'does not look at weights', (t, net) => this.#cycle(t, net, this.#weighted('rr', 5, 2, 1), 'ABC')],
      ['wrr', 'is rr with equal weights', (t, net) => this.#cycle(t, net, { scheduler: 'wrr' }, 'ABC')],
      // LVS's example is AABABCABC, for destinations in the order A, B, C. As text, S3.5, remote-1 comes first in IPv6.
      [
        'wrr',
        'follows weights 4, 3 and 2 as LVS does',
        (t, net) =>
          this.#cycle(t, net, this.#weighted('wrr', 4, 3, 2), net.family === 'IPv4' ? 'AABABCABC' : 'AABCABCAB'),
      ],
      ['random', 'equal shares', (t, net) => this.#shares(t, net, { scheduler: 'random' }, [1 / 3, 1 / 3, 1 / 3])],
      ['random', 'weights', (t, net) => this.#shares(t, net, this.#weighted('random', 6, 3, 1), [0.6, 0.3, 0.1])],
      [
        'sh',
        'a client keeps its endpoint, clients spread',
        (t, net) => this.#sourceHash(t, net, { scheduler: 'sh' }, [1 / 3, 1 / 3, 1 / 3]),
      ],
      ['sh', 'weights', (t, net) => this.#sourceHash(t, net, this.#weighted('sh', 6, 3, 1), [0.6, 0.3, 0.1])],
      [
        'mh',
        'a client keeps its endpoint, clients spread',
        (t, net) => this.#sourceHash(t, net, { scheduler: 'mh' }, [1 / 3, 1 / 3, 1 / 3]),
      ],
      ['mh', 'weights', (t, net) => this.#sourceHash(t, net, this.#weighted('mh', 6, 3, 1), [0.6, 0.3, 0.1])],
      [
        'sh',
        'sh-port: a source port keeps its endpoint, ports spread',
        (t, net) => this.#portHash(t, net, 'sh', 'sh-port'),
      ],
      [
        'mh',
        'mh-port: a source port keeps its endpoint, ports spread',
        (t, net) => this.#portHash(t, net, 'mh', 'mh-port'),
      ],
      ['dh', 'an address keeps its endpoint, addresses spread', (t, net) => this.#destinationHash(t, net)],
      ['mh', 'when an endpoint goes, the clients of others stay', (t, net) => this.#addressesMoved(t, net)],
      ['mh', 'mh-port: when an endpoint goes, the ports of others stay', (t, net) => this.#portsMoved(t, net)],
    ]
    for (const [scheduler, what, scenario] of scenarios) {
      if (only?.includes(scheduler) === false) continue
      for (const net of nets) {
        const lacks = !this.#backend.traits.schedulers.has(scheduler)
        await t.test(`S8.2 S8.3 ${scheduler}: ${what}, ${net.family}, ${this.#backend.name}`, async (t) => {
          // What a backend lacks is random.
          await (lacks ? this.#shares(t, net, { scheduler }, [1 / 3, 1 / 3, 1 / 3]) : scenario(t, net))
          await this.#backend.stop()
          await this.#backend.cleanup()
        })
      }
    }
  }

  #weighted(scheduler: Scheduler, ...[a, b, c]: readonly [number, number, number]): Scheduled {
    return { scheduler, weights: { 'pod-1': a, 'pod-2': b, 'remote-1': c } }
  }

  #fronts(net: Net): readonly Front[] {
    return [
      { what: 'ClusterIP', ip: net.clusterIP(1), port },
      { what: 'NodePort', ip: net.at.node, port: nodePort },
      { what: 'load balancer IP', ip: net.vip(1), port },
    ]
  }

  async #start(net: Net, scheduled: Scheduled): Promise<void> {
    await this.#backend.start(objectsOf(net, scheduled), defaultSettings)
  }

  /** Names of those that answered, in the order of the connections. */
  async #sequence(front: Front, count: number, parallel: number): Promise<readonly string[]> {
    const outcomes = await this.#stage
      .host('client')
      .connect({ address: front.ip, port: front.port, count, parallel, timeoutMs: 10_000 })
    return outcomes.map(nameOf)
  }

  async #shares(t: Assertions, net: Net, scheduled: Scheduled, shares: readonly number[]): Promise<void> {
    await this.#start(net, scheduled)
    for (const front of this.#fronts(net).slice(0, 2)) {
      const names = await this.#sequence(front, 600, 16)
      checkShares(t, front.what, names, shares)
    }
  }

  /** Connections one after the other follow `cycle` from some point on, A being the first endpoint; every front for itself. */
  async #cycle(t: Assertions, net: Net, scheduled: Scheduled, cycle: string): Promise<void> {
    await this.#start(net, scheduled)
    for (const front of this.#fronts(net)) {
      const names = await this.#sequence(front, 3 * cycle.length, 1)
      const seen = names.map(letterOf).join('')
      const turns = Array.from({ length: cycle.length }, (_, i) => (cycle.slice(i) + cycle.slice(0, i)).repeat(3))
      t.ok(turns.includes(seen), `${front.what}: ${seen} is ${cycle} again and again`)
    }
  }

  async #sourceHash(t: Assertions, net: Net, scheduled: Scheduled, shares: readonly number[]): Promise<void> {
    await this.#start(net, scheduled)
    const [first] = this.#fronts(net)
    if (first === undefined) return
    const before = await askCrowd(this.#stage, net, first, { clients: manyClients })
    checkShares(t, first.what, [...before.values()], shares)
    for (const front of this.#fronts(net)) {
      t.same(
        moved(before, await askCrowd(this.#stage, net, front, { clients: manyClients })),
        [],
        `the same at ${front.what}`,
      )
    }
    await this.#backend.stop()
    await this.#backend.cleanup()
    await this.#start(net, scheduled)
    t.same(moved(before, await askCrowd(this.#stage, net, first, { clients: manyClients })), [], 'and on another node')
  }

  async #portHash(t: Assertions, net: Net, scheduler: Scheduler, flag: SchedulerFlag): Promise<void> {
    await this.#start(net, { scheduler, flags: [flag], protocol: 'UDP' })
    const before = await this.#askPorts(net)
    checkShares(t, 'source ports', [...before.values()], [1 / 3, 1 / 3, 1 / 3])
    t.same(moved(before, await this.#askPorts(net)), [], 'the same again')
  }

  async #destinationHash(t: Assertions, net: Net): Promise<void> {
    const addresses = Array.from({ length: 60 }, (_, i) => net.externalIP(i + 1))
    await this.#start(net, { scheduler: 'dh', externalIPs: addresses })
    const all: string[] = []
    for (const ip of addresses) {
      const names = new Set(await this.#sequence({ what: ip, ip, port }, 4, 4))
      t.same(names.size, 1, `${ip} keeps its endpoint`)
      all.push(...names)
    }
    checkShares(t, 'addresses', all, [1 / 3, 1 / 3, 1 / 3])
  }

  async #addressesMoved(t: Assertions, net: Net): Promise<void> {
    const front: Front = { what: 'ClusterIP', ip: net.clusterIP(1), port }
    const ask = (): Promise<Answers> => askCrowd(this.#stage, net, front, { clients: manyClients })
    await this.#goesAndComes(t, net, { scheduler: 'mh' }, ask)
  }

  async #portsMoved(t: Assertions, net: Net): Promise<void> {
    await this.#goesAndComes(t, net, { scheduler: 'mh', flags: ['mh-port'], protocol: 'UDP' }, () =>
      this.#askPorts(net),
    )
  }

  async #goesAndComes(t: Assertions, net: Net, scheduled: Scheduled, ask: () => Promise<Answers>): Promise<void> {
    await this.#start(net, { ...scheduled, pods: four })
    const before = await ask()
    await this.#backend.update(objectsOf(net, { ...scheduled, pods: four.filter((pod) => pod !== 'pod-2') }))
    const without = await ask()
    const own = clientsOf(before, 'pod-2')
    const others = moved(before, without).filter((n) => !own.includes(n))
    t.same(clientsOf(without, 'pod-2'), [], 'nobody is left at the one that went')
    t.ok(
      others.length <= 0.02 * (before.size - own.length),
      `${others.length} of ${before.size - own.length} others moved`,
    )
    await this.#backend.update(objectsOf(net, { ...scheduled, pods: four }))
    const back = moved(before, await ask())
    if (this.#backend.traits.endpointOrder === 'sorted') t.same(back, [], 'when it is back, everything is as it was')
    else t.ok(back.length <= 0.02 * before.size, `when it is back, ${back.length} of ${before.size} are elsewhere`)
  }

  /** One datagram from each of many source ports, each a new flow. Few at once: a server's buffer is small. */
  async #askPorts(net: Net): Promise<Answers> {
    forgetConnections(signal)
    await this.#backend.forgetFlows?.()
    const host = this.#stage.host('client')
    const answers = new Map<number, string>()
    for (let from = 0; from < manyPorts; from += 50) {
      await Promise.all(
        Array.from({ length: 50 }, async (_, i) => {
          const sourcePort = 20_001 + from + i
          const target = { protocol: 'UDP', address: net.clusterIP(1), port, sourcePort, timeoutMs: 10_000 } as const
          answers.set(sourcePort, nameOf(await host.ask(target)))
        }),
      )
    }
    return answers
  }
}

const manyPorts = 500
const manyClients: readonly number[] = Array.from({ length: 250 }, (_, i) => i + 1)

const checkShares = (t: Assertions, what: string, names: readonly string[], shares: readonly number[]): void => {
  t.same([...new Set(names)].sort(), three, `${what}: all endpoints and nobody else`)
  three.forEach((pod, i) => {
    const hits = names.filter((name) => name === pod).length
    const share = shares[i] ?? 0
    t.ok(
      isShare(hits, names.length, share),
      `${what}: ${pod} has ${hits} of ${names.length}, by weight ${share.toFixed(2)}`,
    )
  })
}

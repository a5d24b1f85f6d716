/** Mode userspace with nftables: a client that keeps sending from one port outlives the socket that served it. */
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { defaultSettings } from '../compliance/settings.ts'
import { Stage } from '../compliance/stage.ts'
import { UserspaceUnderTest } from '../compliance/userspace.ts'
import { withNode } from '../compliance/with-node.ts'
import { type Net, nets } from '../flows/net.ts'
import { clusterFront, endpoint, exposed, externalFronts, type Front, type Manifest, slice } from '../flows/objects.ts'
import { ownNamespace } from '../support/namespace.ts'
import { sh } from './cli-program.ts'

ownNamespace(import.meta.url)

const stage = await Stage.create(['UDP'])
t.teardown(() => stage.close())
const backend = new UserspaceUnderTest()

const everyMs = 50
const limitMs = 1_000

const web = (net: Net, name: string, spec: Readonly<Record<string, unknown>> = {}): readonly Manifest[] =>
  withNode([exposed(net, 'UDP', { name, spec }), slice(net, 'UDP', [endpoint(net, 'pod-1')], { service: name })])
const nothing = withNode([])
const frontsOf = (net: Net): readonly Front[] => [clusterFront(net), ...externalFronts(net)]

/** One datagram every 50 ms from one port. */
class Sender {
  readonly front: Front
  readonly #sourcePort: number
  readonly #ended = new AbortController()
  readonly #running: Promise<void>
  #outcomes: string[] = []

  constructor(front: Front, sourcePort: number) {
    this.front = front
    this.#sourcePort = sourcePort
    this.#running = this.#run()
  }

  /** What became of each datagram that is sent from now on, until the pod answers one. */
  async served(): Promise<readonly string[]> {
    const outcomes: string[] = []
    this.#outcomes = outcomes
    const end = Date.now() + limitMs
    while (!outcomes.includes('pod-1') && Date.now() < end) await sleep(10)
    return outcomes.slice(0, outcomes.indexOf('pod-1') + 1 || undefined)
  }

  async end(): Promise<void> {
    this.#ended.abort()
    await this.#running
  }

  async #run(): Promise<void> {
    const { ip: address, port } = this.front
    while (!this.#ended.signal.aborted) {
      const ask = { protocol: 'UDP', address, port, sourcePort: this.#sourcePort, timeoutMs: everyMs } as const
      const outcomes = this.#outcomes
      const [outcome] = await Promise.all([stage.host('client').ask(ask), sleep(everyMs)])
      outcomes.push(outcome.kind === 'answered' ? outcome.name : outcome.kind)
    }
  }
}

const play = async (
  t: Test,
  net: Net,
  before: readonly Manifest[],
  steps: readonly (readonly Manifest[])[],
  pauseMs = 0,
): Promise<void> => {
  await backend.start(before, defaultSettings)
  const senders = frontsOf(net).map((front, i) => new Sender(front, 42_001 + i))
  for (const sender of senders) t.equal((await sender.served()).at(-1), 'pod-1', `${sender.front.what} before`)
  for (const step of steps) {
    await backend.update(step)
    await sleep(pauseMs)
  }
  const seen = await Promise.all(senders.map(async (sender) => [sender.front.what, await sender.served()] as const))
  for (const [what, outcomes] of seen) t.equal(outcomes.at(-1), 'pod-1', `${what} afterwards: ${outcomes}`)
  await Promise.all(senders.map((sender) => sender.end()))
  await backend.stop()
  await backend.cleanup()
  sh('conntrack -F')
}

for (const net of nets) {
  await t.test(`another Service takes over its addresses, ${net.family}`, (t) =>
    play(t, net, web(net, 'web'), [web(net, 'other')]),
  )
  await t.test(`deleted and recreated, ${net.family}`, (t) => play(t, net, web(net, 'web'), [nothing, web(net, 'web')]))
  await t.test(`deleted and recreated after a while, ${net.family}`, (t) =>
    play(t, net, web(net, 'web'), [nothing, web(net, 'web')], 300),
  )
  const local = web(net, 'web', { externalTrafficPolicy: 'Local' })
  await t.test(`deleted and recreated with externalTrafficPolicy Local, ${net.family}`, (t) =>
    play(t, net, local, [nothing, local], 300),
  )
  await t.test(`externalTrafficPolicy Local to Cluster, ${net.family}`, (t) => play(t, net, local, [web(net, 'web')]))
  await t.test(`externalTrafficPolicy Cluster to Local, ${net.family}`, (t) => play(t, net, web(net, 'web'), [local]))
}

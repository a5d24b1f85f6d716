/** Session affinity (S8.1) as clients see it, on every kind of address and in both families at once. */
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import type { Protocol } from '../../src/model/protocol.ts'
import { type Net, nets, nodeName, type PodName, port } from '../flows/net.ts'
import { endpoint, exposed, type Front, leaving, type Manifest, service, slice } from '../flows/objects.ts'
import type { BackendUnderTest } from './backend-under-test.ts'
import { type Answers, askCrowd, clientsOf, crowd, kinds, moved } from './crowd.ts'
import { defaultSettings } from './settings.ts'
import type { Stage } from './stage.ts'
import { withNode } from './with-node.ts'

const three: readonly PodName[] = ['pod-1', 'pod-2', 'remote-1']
const nodePorts = { IPv4: 30081, IPv6: 30082 } as const

/** The addresses of {@link sticky}. */
const fronts = (net: Net): readonly [Front, Front, Front, Front] => [
  { what: 'ClusterIP', ip: net.clusterIP(1), port },
  { what: 'NodePort', ip: net.at.node, port: nodePorts[net.family] },
  { what: 'external IP', ip: net.externalIP(1), port },
  { what: 'load balancer IP', ip: net.vip(1), port },
]

interface Sticky {
  readonly pods?: readonly PodName[]
  readonly seconds?: number | undefined
  readonly spec?: object
  readonly protocol?: Protocol
}

/** A Service with affinity in each family. */
const sticky = ({ pods = three, seconds, spec = {}, protocol = 'TCP' }: Sticky = {}): readonly Manifest[] =>
  withNode(
    nets.flatMap((net) => {
      const name = `web-${net.family.toLowerCase()}`
      return [
        exposed(net, protocol, {
          name,
          port: { nodePort: nodePorts[net.family] },
          spec: {
            sessionAffinity: 'ClientIP',
            ...(seconds === undefined ? {} : { sessionAffinityConfig: { clientIP: { timeoutSeconds: seconds } } }),
            ...spec,
          },
        }),
        slice(
          net,
          protocol,
          pods.map((pod) => endpoint(net, pod)),
          { service: name },
        ),
      ]
    }),
  )

type Assertions = Pick<typeof t, 'same' | 'equal' | 'ok' | 'not' | 'match'>

const reversed = crowd.toReversed()

/** Each scenario starts on a clean node and runs in both families at once. */
export const playAffinity = async (backend: BackendUnderTest, stage: Stage): Promise<void> => {
  const scenario = (
    name: string,
    objects: readonly Manifest[],
    body: (t: Assertions, net: Net) => Promise<void>,
  ): Promise<unknown> =>
    t.test(`${name}, ${backend.name}`, async (t) => {
      await backend.start(objects, defaultSettings)
      await Promise.all(nets.map((net) => body(t, net)))
      await backend.stop()
      await backend.cleanup()
    })

  for (const protocol of ['TCP', 'UDP'] as const) {
    await scenario(
      `S8.1 a client keeps its endpoint, clients spread, on every kind of address: ${protocol}`,
      sticky({ protocol }),
      async (t, net) => {
        for (const front of fronts(net)) {
          const first = await askCrowd(stage, net, front, { protocol })
          t.same(kinds(first), three, `${net.family} ${front.what}: all endpoints`)
          for (let i = 0; i < 3; i++) {
            t.same(moved(first, await askCrowd(stage, net, front, { protocol })), [], `${net.family} ${front.what}`)
          }
        }
      },
    )
  }

  const { affinityOf, affinityEnds } = backend.traits
  await scenario(`S8.1 a client is remembered by ${affinityOf}`, sticky(), async (t, net) => {
    const [first, ...others] = fronts(net)
    const known = await askCrowd(stage, net, first)
    const strangers: number[] = []
    // The other way round, so that a scheduler that takes turns gives each another one.
    for (const front of others)
      strangers.push(...moved(known, await askCrowd(stage, net, front, { clients: reversed })))
    if (affinityOf === 'servicePort') t.same(strangers, [], `${net.family} the same endpoint at every address`)
    else t.not(strangers.length, 0, `${net.family} each address has a memory of its own`)
  })

  await scenario(
    `S8.1 an entry lasts from the last connection on, and ends ${affinityEnds}`,
    sticky({ seconds: 3 }),
    async (t, net) => {
      const two = fronts(net).slice(0, 2)
      const ask = (clients = crowd): Promise<readonly Answers[]> =>
        Promise.all(two.map((front) => askCrowd(stage, net, front, { clients })))
      await ask()
      const first = await ask()
      const movedAt = async (clients = crowd): Promise<readonly number[]> => {
        const now = await ask(clients)
        return first.map((answers, i) => moved(answers, now[i] ?? new Map()).length)
      }
      for (let i = 0; i < 4; i++) {
        await sleep(1_100)
        t.same(await movedAt(), [0, 0], `${net.family}: renewed in time`)
      }
      await sleep(3_900)
      const now = await movedAt(reversed)
      two.forEach(({ what }, i) => {
        if (affinityEnds === 'inTime') t.not(now[i], 0, `${net.family} ${what}: expired`)
        else t.equal(now[i], 0, `${net.family} ${what}: there are connections that hold it`)
      })
    },
  )
}

/** What becomes of clients when endpoints and policies change. */
export const playAffinityChanges = async (backend: BackendUnderTest, stage: Stage): Promise<void> => {
  const all = async (front: 0 | 1 | 2 | 3): Promise<ReadonlyMap<Net, Answers>> =>
    new Map(await Promise.all(nets.map(async (net) => [net, await askCrowd(stage, net, fronts(net)[front])] as const)))

  for (const at of [0, 1, 3] as const) {
    await t.test(
      `S8.1 clients of an endpoint that goes move, and stay when it is back: front ${at}, ${backend.name}`,
      async (t) => {
        await backend.start(sticky(), defaultSettings)
        const before = await all(at)
        await backend.update(sticky({ pods: ['pod-1', 'remote-1'] }))
        const without = await all(at)
        await backend.update(sticky())
        const after = await all(at)
        for (const net of nets) {
          const [b, w, a] = [before.get(net), without.get(net), after.get(net)]
          if (b === undefined || w === undefined || a === undefined) throw new TypeError('a family is missing')
          t.same(moved(b, w), clientsOf(b, 'pod-2'), `${net.family}: those of pod-2 move and nobody else`)
          t.same(kinds(w), ['pod-1', 'remote-1'], `${net.family}: to both of the others`)
          t.same(moved(w, a), [], `${net.family}: nobody moves back`)
        }
        await backend.stop()
        await backend.cleanup()
      },
    )
  }

  await t.test(
    `S8.1 S6.3 with externalTrafficPolicy Local only local endpoints are kept, ${backend.name}`,
    async (t) => {
      await backend.start(sticky(), defaultSettings)
      for (const at of [1, 2, 3] as const) await all(at)
      const local = { externalTrafficPolicy: 'Local' }
      await backend.update(sticky({ spec: local }))
      for (const at of [1, 2, 3] as const) {
        const first = await all(at)
        const second = await all(at)
        for (const net of nets) {
          const [a, b] = [first.get(net), second.get(net)]
          if (a === undefined || b === undefined) throw new TypeError('a family is missing')
          t.same(kinds(a), ['pod-1', 'pod-2'], `${net.family}: entries that name remote-1 are not used`)
          t.same(moved(a, b), [], `${net.family}: and clients keep what they have now`)
        }
      }
      await backend.update(sticky({ spec: local, pods: ['pod-2', 'remote-1'] }))
      for (const answers of (await all(1)).values()) t.same(kinds(answers), ['pod-2'], 'pod-1 is gone')
      for (const net of nets) {
        const pods = await stage.host('pod-1').connect({ address: net.at.node, port: nodePorts[net.family], count: 20 })
        t.same(
          new Set(pods.map((outcome) => (outcome.kind === 'answered' ? outcome.name : outcome.kind))).size,
          1,
          'a pod keeps one',
        )
      }
      await backend.update(sticky({ spec: local, pods: ['remote-1'] }))
      for (const net of nets) {
        const clients = [1, 2, 3]
        const answers = await askCrowd(stage, net, fronts(net)[1], { clients, timeoutMs: 250 })
        t.same(kinds(answers), ['timeout'], `${net.family}: without a local endpoint dropped, entry or not`)
      }
      await backend.stop()
      await backend.cleanup()
    },
  )

  await t.test(
    `S8.1 S4.3 an endpoint that terminates keeps no client while others are ready, ${backend.name}`,
    async (t) => {
      await backend.start(sticky(), defaultSettings)
      const before = await all(0)
      await backend.update([
        ...sticky().filter(({ kind }) => kind !== 'EndpointSlice'),
        ...nets.map((net) =>
          slice(net, 'TCP', [endpoint(net, 'pod-1', leaving), endpoint(net, 'pod-2'), endpoint(net, 'remote-1')], {
            service: `web-${net.family.toLowerCase()}`,
          }),
        ),
      ])
      const after = await all(0)
      for (const net of nets) {
        const [b, a] = [before.get(net), after.get(net)]
        if (b === undefined || a === undefined) throw new TypeError('a family is missing')
        t.same(moved(b, a), clientsOf(b, 'pod-1'), `${net.family}: those of pod-1 move and nobody else`)
      }
      await backend.stop()
      await backend.cleanup()
    },
  )

  /** All clients at `front` get `wanted` and nobody else. */
  const allAt = async (
    t: Assertions,
    front: 0 | 1 | 2 | 3,
    wanted: readonly PodName[],
    what: string,
  ): Promise<void> => {
    for (const [net, answers] of await all(front)) t.same(kinds(answers), wanted, `${net.family}: ${what}`)
  }

  await t.test(
    `S8.1 what was remembered at an address is not used by whoever has it next, ${backend.name}`,
    async (t) => {
      const other = nets.flatMap((net) => {
        const name = `another-${net.family.toLowerCase()}`
        const spec = {
          clusterIP: net.clusterIP(2),
          clusterIPs: [net.clusterIP(2)],
          externalIPs: [net.externalIP(1)],
          sessionAffinity: 'ClientIP',
        }
        return [
          service(net, 'TCP', { name, spec, created: '2024-06-01T00:00:00Z' }),
          slice(net, 'TCP', [endpoint(net, 'remote-2')], { service: name }),
        ]
      })
      await backend.start([...sticky({ pods: ['pod-1'] }), ...other], defaultSettings)
      await allAt(t, 2, ['pod-1'], 'the older Service has it')
      await backend.update(withNode(other))
      await allAt(t, 2, ['remote-2'], 'then the other')
      await backend.update([...sticky({ pods: ['pod-2'] }), ...other])
      await allAt(t, 2, ['pod-2'], 'and the older one again')
      await backend.stop()
      await backend.cleanup()
    },
  )

  await t.test(`S8.1 what was remembered before affinity was switched off is not used, ${backend.name}`, async (t) => {
    await backend.start(sticky({ pods: ['pod-1'] }), defaultSettings)
    for (const at of [0, 1] as const) await allAt(t, at, ['pod-1'], 'remembered')
    await backend.update(sticky({ pods: ['pod-2'], spec: { sessionAffinity: 'None' } }))
    await backend.update(sticky({ pods: ['pod-2', 'remote-1'] }))
    for (const at of [0, 1] as const) await allAt(t, at, ['pod-2', 'remote-1'], 'switched on again')
    await backend.update(withNode([]))
    await backend.update(sticky({ pods: ['pod-1', 'remote-2'] }))
    for (const at of [0, 1] as const) await allAt(t, at, ['pod-1', 'remote-2'], 'the Service was deleted and is back')
    await backend.stop()
    await backend.cleanup()
  })

  await t.test(`S8.1 without affinity a client is spread, also one that had it, ${backend.name}`, async (t) => {
    await backend.start(sticky(), defaultSettings)
    await all(0)
    await backend.update(sticky({ spec: { sessionAffinity: 'None' } }))
    for (const net of nets) {
      const outcomes = await stage.host('client').connect({ address: fronts(net)[0].ip, port, count: crowd.length + 5 })
      const names = new Set(outcomes.map((outcome) => (outcome.kind === 'answered' ? outcome.name : outcome.kind)))
      t.same([...names].sort(), three, `${net.family} on ${nodeName}`)
    }
    await backend.stop()
    await backend.cleanup()
  })

  if (backend.traits.flowsIn === 'process') return

  await t.test(`S8.1 what went while the proxy was away keeps no client, ${backend.name}`, async (t) => {
    await backend.start(sticky(), defaultSettings)
    const before = await all(0)
    await backend.stop()
    await backend.start(sticky({ pods: ['pod-1', 'remote-1'] }), defaultSettings)
    for (const [net, answers] of await all(0)) {
      const known = before.get(net)
      if (known === undefined) throw new TypeError('a family is missing')
      t.same(moved(known, answers), clientsOf(known, 'pod-2'), `${net.family}: those of pod-2 move and nobody else`)
    }
    await backend.stop()
    await backend.cleanup()
  })

  await t.test(`S8.1 a restart of the proxy forgets no client, ${backend.name}`, async (t) => {
    await backend.start(sticky(), defaultSettings)
    const before = await all(0)
    await backend.stop()
    await backend.start(sticky(), defaultSettings)
    const after = await all(0)
    for (const net of nets) t.same(after.get(net), before.get(net), net.family)
    await backend.stop()
    await backend.cleanup()
  })
}

/** Connections while things change: endpoints, Services, the rules themselves, the proxy. */
import t from 'tap'
import type { Scheduler } from '../../src/model/scheduling.ts'
import { type Net, nets, nodePort, type PodName, podNames, podPorts, port } from '../flows/net.ts'
import { endpoint, exposed, type Front, leaving, type Manifest, ready, service, slice } from '../flows/objects.ts'
import type { Held, Outcome } from '../support/host-protocol.ts'
import type { BackendUnderTest } from './backend-under-test.ts'
import { Load } from './load.ts'
import { summary } from './run-flows.ts'
import { defaultSettings } from './settings.ts'
import type { Stage } from './stage.ts'
import { withNode } from './with-node.ts'

const front = (net: Net): Front => ({ what: 'ClusterIP', ip: net.clusterIP(1), port })
const onNode = (net: Net): Front => ({ what: 'NodePort', ip: net.at.node, port: nodePort })
const vip = (net: Net): Front => ({ what: 'load balancer IP', ip: net.vip(1), port })

/** `count` endpoints: first each pod on its first port, then each on its second, and so on. */
export const scaled = (net: Net, count: number, options: Parameters<typeof exposed>[2] = {}): readonly Manifest[] =>
  withNode([
    exposed(net, 'TCP', options),
    ...podPorts.map((podPort, i) => {
      const pods = podNames.slice(0, Math.max(0, count - i * podNames.length))
      return slice(
        net,
        'TCP',
        pods.map((pod) => endpoint(net, pod)),
        { name: `web-${i}`, ports: [{ name: '', protocol: 'TCP', port: podPort }] },
      )
    }),
  ])

const steps = [2, 5, 17, 3, 1] as const

interface Kept {
  readonly what: string
  readonly held: Held
  readonly again: () => Promise<Outcome>
  readonly release: () => Promise<void>
}

export class ChangeScenarios {
  readonly #backend: BackendUnderTest
  readonly #stage: Stage

  constructor(backend: BackendUnderTest, stage: Stage) {
    this.#backend = backend
    this.#stage = stage
  }

  async play(families: readonly Net[] = nets): Promise<void> {
    for (const net of families) {
      const options: readonly (readonly [string, Parameters<typeof exposed>[2]])[] = [
        ['random', {}],
        ...(['rr', 'wrr', 'sh', 'mh'] as const).map((name) => [name, scheduledBy(name)] as const),
        ['affinity', { spec: { sessionAffinity: 'ClientIP' } }],
        ['externalTrafficPolicy Local', { spec: { externalTrafficPolicy: 'Local' } }],
      ]
      for (const [name, option] of options) await this.#scaling(net, name, option)
      await this.#held(net)
      await this.#restartOverChanges(net)
      await this.#nodeDeleted(net)
    }
  }

  /** No connection fails while endpoints come and go; at none all are refused, and the first one ends that. */
  async #scaling(net: Net, name: string, options: Parameters<typeof exposed>[2]): Promise<void> {
    await t.test(
      `S6.5 scaling 1 to 17 to 0 endpoints under load, ${name}, ${net.family}, ${this.#backend.name}`,
      async (t) => {
        await this.#backend.start(scaled(net, 1, options), defaultSettings)
        const fronts = [front(net), onNode(net), vip(net)]
        const loads = fronts.map((at) => new Load(this.#stage, 'client', at))
        for (const count of steps) {
          await this.#backend.update(scaled(net, count, options))
          await Promise.all(loads.map((load) => load.more(24)))
        }
        for (const load of loads) {
          const outcomes = await load.stop()
          const failed = outcomes.filter(({ kind }) => kind !== 'answered')
          t.same(failed, [], `all of ${outcomes.length} connections are answered`)
        }
        const last = [
          [0, 'refused'],
          [1, 'pod-1'],
        ] as const
        for (const [count, wanted] of last) {
          await this.#backend.update(scaled(net, count, options))
          const seen = await Promise.all(fronts.map((at) => this.#names(at)))
          for (const names of seen) t.same(names, [wanted], `${count} endpoints`)
        }
        await this.#end()
      },
    )
  }

  async #names({ ip, port: to }: Front): Promise<readonly string[]> {
    const outcomes = await this.#stage.host('client').connect({ address: ip, port: to, count: 4, timeoutMs: 10_000 })
    return [...new Set(outcomes.map(nameOf))]
  }

  /** What is established stays with its endpoint, whatever becomes of Services, rules and the proxy. */
  async #held(net: Net): Promise<void> {
    await t.test(`established connections survive every change, ${net.family}, ${this.#backend.name}`, async (t) => {
      const backend = this.#backend
      const pods: readonly PodName[] = ['pod-1', 'pod-2', 'remote-1', 'remote-2']
      const web = withNode([exposed(net, 'TCP'), ready(net, 'TCP', ...pods)])
      await backend.start(web, defaultSettings)
      let kept = await this.#hold(net)
      const still = async (what: string): Promise<void> => {
        for (const { what: where, held, again } of kept) t.same(await again(), held.outcome, `${where}: ${what}`)
      }
      t.same([...new Set(kept.map(({ held }) => held.outcome.kind))], ['answered'])
      await still('nothing happened')
      await backend.update(withNode([exposed(net, 'TCP'), ready(net, 'TCP', 'pod-1')]))
      await still('other endpoints, or their own, are gone')
      await backend.update(
        withNode([exposed(net, 'TCP'), slice(net, 'TCP', [endpoint(net, 'pod-1', leaving), endpoint(net, 'pod-2')])]),
      )
      await still('an endpoint terminates')
      await backend.update(withNode([exposed(net, 'TCP', scheduledBy('mh')), ready(net, 'TCP', ...pods)]))
      await still('another scheduler')
      await backend.update(
        withNode([
          exposed(net, 'TCP', {
            spec: {
              sessionAffinity: 'ClientIP',
              externalTrafficPolicy: 'Local',
              loadBalancerSourceRanges: [net.unrelated],
            },
          }),
          ready(net, 'TCP', 'remote-1'),
        ]),
      )
      await still('affinity, externalTrafficPolicy Local without local endpoints, and source ranges that exclude all')
      await backend.loseRules(net.family)
      await still('the rules were deleted and are back')
      await backend.update(withNode([exposed(net, 'TCP')]))
      await still('no endpoints: new connections are refused')
      await backend.update(withNode([]))
      if (backend.traits.serviceGone === 'kept') await still('the Service is gone')
      else {
        for (const { what: where, held, again, release } of kept) {
          t.notSame(await again(), held.outcome, `${where}: it has ended with the Service`)
          await release()
        }
        await backend.update(web)
        kept = await this.#hold(net)
        await still('the Service is back')
      }
      await backend.stop()
      if (backend.traits.flowsIn === 'kernel') {
        await still('the proxy is gone')
        await backend.start(web, { ...defaultSettings, masqueradeAll: true })
        await still('the proxy is back, with other settings')
      } else {
        for (const { what: where, held, again } of kept)
          t.not(nameOf(await again()), nameOf(held.outcome), `${where}: it has ended with the proxy`)
        await backend.start(web, defaultSettings)
        for (const at of [front(net), onNode(net), vip(net)])
          for (const name of await this.#names(at)) t.match(name, /^(?:pod|remote)-/, `${at.what}: new ones are served`)
      }
      for (const { release } of kept) await release()
      await this.#end()
    })
  }

  async #hold(net: Net): Promise<readonly Kept[]> {
    const kept: Kept[] = []
    for (const from of ['client', 'pod-2', 'node'] as const) {
      const host = this.#stage.host(from)
      for (const at of [front(net), onNode(net), vip(net)]) {
        const held = await host.hold({ address: at.ip, port: at.port, timeoutMs: 10_000 })
        kept.push({
          ...{ what: `${from} to ${at.what}`, held },
          ...{ again: () => host.again(held.connection), release: () => host.release(held.connection) },
        })
      }
    }
    return kept
  }

  /** A proxy that starts over what an earlier one left brings the kernel to what is true now. */
  async #restartOverChanges(net: Net): Promise<void> {
    await t.test(`a restart takes over what changed meanwhile, ${net.family}, ${this.#backend.name}`, async (t) => {
      const second = { name: 'second', spec: { clusterIP: net.clusterIP(2), clusterIPs: [net.clusterIP(2)] } }
      const others = [service(net, 'TCP', second), slice(net, 'TCP', [endpoint(net, 'pod-2')], { service: 'second' })]
      await this.#backend.start(
        withNode([
          exposed(net, 'TCP', { spec: { sessionAffinity: 'ClientIP', loadBalancerSourceRanges: [net.unrelated] } }),
          ready(net, 'TCP', 'pod-1', 'pod-2'),
          ...others,
        ]),
        { ...defaultSettings, masqueradeAll: true },
      )
      await this.#backend.stop()
      await this.#backend.start(withNode([exposed(net, 'TCP'), ready(net, 'TCP', 'remote-1')]), defaultSettings)
      const ownOrNode = this.#backend.traits.keepsSource ? 'pod-2' : 'node'
      const ask = async (ip: string): Promise<readonly string[]> =>
        summary(await this.#stage.host('pod-2').connect({ address: ip, port, count: 10, timeoutMs: 10_000 }))
      t.same(
        await ask(net.clusterIP(1)),
        [`remote-1 answers ${net.at[ownOrNode]}`],
        'new endpoint, no masqueradeAll, no affinity',
      )
      t.same(await ask(net.clusterIP(2)), [`elsewhere answers ${net.at['pod-2']}`], 'a Service that went is gone')
      t.same(await ask(net.vip(1)), [`remote-1 answers ${net.at.node}`], 'source ranges are gone')
      await this.#end()
    })
  }

  /** The rules go on by the Node as last seen. */
  async #nodeDeleted(net: Net): Promise<void> {
    await t.test(
      `S2.9 a Node that is deleted leaves the rules as they are, ${net.family}, ${this.#backend.name}`,
      async (t) => {
        const web = [exposed(net, 'TCP'), ready(net, 'TCP', 'pod-1')]
        await this.#backend.start(withNode(web), { ...defaultSettings, detectLocal: { kind: 'NodeCIDR' } })
        await this.#backend.update(web)
        await this.#backend.update([...web.slice(0, 1), ready(net, 'TCP', 'remote-1')])
        const ownOrNode = this.#backend.traits.keepsSource ? 'pod-2' : 'node'
        const ask = async (ip: string, at: number): Promise<readonly string[]> =>
          summary(await this.#stage.host('pod-2').connect({ address: ip, port: at, count: 3, timeoutMs: 10_000 }))
        t.same(
          await ask(net.clusterIP(1), port),
          [`remote-1 answers ${net.at[ownOrNode]}`],
          'its pod network is still local',
        )
        t.same(
          await ask(net.at.node, nodePort),
          [`remote-1 answers ${net.at.node}`],
          'its address still takes NodePorts',
        )
        t.same(await ask(net.nodeSecond, nodePort), [`node answers ${net.at['pod-2']}`], 'and the other still does not')
        await this.#end()
      },
    )
  }

  async #end(): Promise<void> {
    await this.#backend.stop()
    await this.#backend.cleanup()
  }
}

const nameOf = (outcome: Outcome): string => (outcome.kind === 'answered' ? outcome.name : outcome.kind)

const scheduledBy = (scheduler: Scheduler) => ({ annotations: { 'weir.dev/scheduler': scheduler } })

/** UDP flows, which conntrack keeps for as long as the client goes on sending: what a change does to them. */
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { type Net, nets, nodePort, port } from '../flows/net.ts'
import { endpoint, exposed, type Front, type Manifest, ready, slice } from '../flows/objects.ts'
import type { BackendUnderTest } from './backend-under-test.ts'
import { forgetConnections } from './conntrack.ts'
import { defaultSettings } from './settings.ts'
import type { Stage } from './stage.ts'
import { withNode } from './with-node.ts'

const fronts = (net: Net): readonly Front[] => [
  { what: 'ClusterIP', ip: net.clusterIP(1), port },
  { what: 'NodePort', ip: net.at.node, port: nodePort },
  { what: 'load balancer IP', ip: net.vip(1), port },
]
const flows = 12
const firstPort = 41_001

const web = (net: Net, ...pods: Parameters<typeof ready> extends [unknown, unknown, ...infer Pods] ? Pods : never) =>
  withNode([exposed(net, 'UDP'), ready(net, 'UDP', ...pods)])

export const playUdp = async (backend: BackendUnderTest, stage: Stage): Promise<void> => {
  const { staleFlows, olderFlows } = backend.traits
  /** Each test has flows of its own to each address, as some kernel may know a flow by its source port and endpoint alone. */
  const begun = new Map<string, readonly number[]>()
  let used = 0
  const portsTo = ({ what }: Front): readonly number[] => {
    const ports = begun.get(what) ?? Array.from({ length: flows }, () => firstPort + used++)
    begun.set(what, ports)
    return ports
  }
  /** The next datagram of each flow from the client; names, or what else happened. */
  const goOn = async (front: Front): Promise<readonly string[]> => {
    const asked = portsTo(front).map((sourcePort) =>
      stage.host('client').ask({ protocol: 'UDP', address: front.ip, port: front.port, sourcePort, timeoutMs: 500 }),
    )
    return (await Promise.all(asked)).map((outcome) => (outcome.kind === 'answered' ? outcome.name : outcome.kind))
  }
  /** Every different answer, once no flow loses datagrams any more: one that moves may lose some. */
  const settled = async (front: Front, first: readonly string[]): Promise<readonly string[]> => {
    let names = first
    for (let i = 0; i < 5 && names.includes('timeout'); i++) names = await goOn(front)
    return [...new Set(names)]
  }
  const end = async (): Promise<void> => {
    await backend.stop()
    await backend.cleanup()
    begun.clear()
    forgetConnections(new AbortController().signal)
  }

  for (const net of nets) {
    await t.test(
      `a flow stays with its endpoint while others come and go, ${net.family}, ${backend.name}`,
      async (t) => {
        await backend.start(web(net, 'pod-1', 'remote-1'), defaultSettings)
        for (const front of fronts(net)) {
          await backend.update(web(net, 'pod-1', 'remote-1'))
          const first = await goOn(front)
          t.same([...new Set(first)].sort(), ['pod-1', 'remote-1'], `${front.what}: both`)
          await backend.update(web(net, 'pod-1', 'remote-1', 'pod-2'))
          t.same(await goOn(front), first, `${front.what}: one more`)
        }
        await end()
      },
    )

    await t.test(`S8.5 a flow whose endpoint is gone is ${staleFlows}, ${net.family}, ${backend.name}`, async (t) => {
      await backend.start(web(net, 'pod-1', 'remote-1'), defaultSettings)
      for (const front of fronts(net)) {
        await backend.update(web(net, 'pod-1', 'remote-1'))
        const before = await goOn(front)
        await backend.update(web(net, 'pod-1'))
        await sleep(50)
        const after = await goOn(front)
        if (staleFlows === 'moved') t.same(await settled(front, after), ['pod-1'], front.what)
        else t.same(after, before, `${front.what}: where it was`)
      }
      await end()
    })

    await t.test(
      `S8.5 a flow that is older than its Service is ${olderFlows}, ${net.family}, ${backend.name}`,
      async (t) => {
        const nothing: readonly Manifest[] = withNode([])
        await backend.start(nothing, defaultSettings)
        for (const front of fronts(net)) {
          await backend.update(nothing)
          await goOn(front)
          await backend.update(withNode([exposed(net, 'UDP'), slice(net, 'UDP', [endpoint(net, 'pod-1')])]))
          await sleep(50)
          const after = await goOn(front)
          if (olderFlows === 'moved') t.same(await settled(front, after), ['pod-1'], front.what)
          else t.notOk(after.includes('pod-1'), `${front.what}: conntrack knows it untranslated`)
        }
        await end()
      },
    )

    await t.test(
      `a flow that was refused for want of endpoints gets to the first one, ${net.family}, ${backend.name}`,
      async (t) => {
        await backend.start(web(net), defaultSettings)
        for (const front of fronts(net)) {
          await backend.update(web(net))
          t.same([...new Set(await goOn(front))], ['refused'], front.what)
          await backend.update(web(net, 'pod-1'))
          t.same([...new Set(await goOn(front))], ['pod-1'], front.what)
        }
        await end()
      },
    )
  }
}

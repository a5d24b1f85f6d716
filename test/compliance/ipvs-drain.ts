/** Graceful termination on IPVS, with connections: what an endpoint that goes does for those that it has. */
import { execFileSync } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { type Net, nets, nodePort, type PodName, port } from '../flows/net.ts'
import { exposed, type Front, type Manifest, ready } from '../flows/objects.ts'
import { IpvsUnderTest } from './ipvs.ts'
import { defaultSettings } from './settings.ts'
import type { Stage } from './stage.ts'
import { withNode } from './with-node.ts'

/** Of a connection that was reset the kernel knows for 10 s; drains are looked after every 3 s. */
const forgottenMs = 30_000

const fronts = (net: Net): readonly Front[] => [
  { what: 'ClusterIP', ip: net.clusterIP(1), port },
  { what: 'NodePort', ip: net.at.node, port: nodePort },
  { what: 'load balancer IP', ip: net.vip(1), port },
]

const web = (net: Net, ...pods: readonly PodName[]): readonly Manifest[] =>
  withNode([exposed(net, 'TCP'), ready(net, 'TCP', ...pods)])

/** `10.244.0.1 weight 1, 2 open`, sorted, of a virtual server. */
const realServers = (net: Net, { ip, port }: Front): readonly string[] => {
  const wrap = (address: string): string => (net.family === 'IPv6' ? `[${address}]` : address)
  const listing = execFileSync('ipvsadm', ['-Ln', '-t', `${wrap(ip)}:${port}`], { encoding: 'utf8' })
  return [...listing.matchAll(/-> \[?([0-9a-f.:]+?)\]?:8080 +Masq +(\d+) +(\d+) +\d+/g)]
    .map(([, server, weight, open]) => `${server} weight ${weight}, ${open} open`)
    .sort()
}

export const playDrains = async (stage: Stage): Promise<void> => {
  const client = stage.host('client')
  const start = async (net: Net, drainMs: number): Promise<IpvsUnderTest> => {
    const backend = new IpvsUnderTest({ drainMs })
    await backend.start(web(net, 'pod-1'), defaultSettings)
    return backend
  }
  const hold = async (net: Net) =>
    Promise.all(
      fronts(net).map(async (front) => ({
        front,
        held: await client.hold({ address: front.ip, port: front.port, timeoutMs: 10_000 }),
      })),
    )
  const newOnes = async ({ ip, port }: Front): Promise<readonly string[]> => {
    const outcomes = await client.connect({ address: ip, port, count: 6, timeoutMs: 10_000 })
    return [...new Set(outcomes.map((outcome) => (outcome.kind === 'answered' ? outcome.name : outcome.kind)))].sort()
  }

  for (const net of nets) {
    const [first, second] = [net.at['pod-1'], net.at['pod-2']]

    await t.test(`an endpoint that goes keeps its connections until they end, ${net.family}`, async (t) => {
      const backend = await start(net, 0)
      const kept = await hold(net)
      const still = async (what: string): Promise<void> => {
        for (const { front, held } of kept)
          t.same(await client.again(held.connection), held.outcome, `${front.what}: ${what}`)
      }
      await still('it is there')
      await backend.update(web(net, 'pod-2'))
      await still('its endpoint has gone')
      for (const { front } of kept) {
        t.same(await newOnes(front), ['pod-2'], `${front.what}: new ones go elsewhere`)
        t.match(realServers(net, front), [`${first} weight 0, 1 open`, `${second} weight 1`], 'it drains')
      }
      await backend.update(web(net, 'pod-1', 'pod-2'))
      await still('its endpoint is back')
      for (const { front } of kept) {
        t.match(realServers(net, front), [`${first} weight 1, 1 open`, `${second} weight 1`], 'with its weight')
      }
      // Of closed connections the kernel knows for two minutes, and those of this address are not waited for.
      t.same(await newOnes({ what: 'external IP', ip: net.externalIP(1), port }), ['pod-1', 'pod-2'], 'new ones')
      await backend.update(web(net, 'pod-2'))
      await backend.stop()
      await backend.start(web(net, 'pod-2'), defaultSettings)
      await still('the proxy was away')
      for (const { front } of kept)
        t.match(realServers(net, front), [`${first} weight 0, 1 open`, `${second} weight 1`], 'it drains on')
      await sleep(4_000)
      await still('drains have been looked after')
      for (const { held } of kept) await client.release(held.connection, { reset: true })
      const drained = (): boolean => fronts(net).every((front) => realServers(net, front).length === 1)
      for (const end = Date.now() + forgottenMs; !drained() && Date.now() < end; ) await sleep(200)
      for (const front of fronts(net)) t.match(realServers(net, front), [`${second} weight 1`], 'and then it goes')
      await backend.stop()
      await backend.remove()
    })

    await t.test(`an endpoint that goes keeps its connections no longer than the limit, ${net.family}`, async (t) => {
      const backend = await start(net, 5_000)
      const kept = await hold(net)
      await backend.update(web(net, 'pod-2'))
      for (const { front, held } of kept)
        t.same(await client.again(held.connection), held.outcome, `${front.what}: within the limit`)
      await sleep(9_000)
      for (const { front, held } of kept) {
        t.match(realServers(net, front), [`${second} weight 1`], 'it is gone')
        t.notSame(await client.again(held.connection), held.outcome, `${front.what}: and so is the connection`)
        await client.release(held.connection)
      }
      await backend.stop()
      await backend.remove()
    })
  }
}

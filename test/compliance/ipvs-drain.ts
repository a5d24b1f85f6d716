/** Graceful termination on IPVS, with connections: what an endpoint that goes does for those that it has. */
import { execFileSync } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import type { Family } from '../../src/model/ip.ts'
import { type Net, nets, nodePort, type PodName, port } from '../flows/net.ts'
import { endpoint, exposed, type Front, type Manifest, slice } from '../flows/objects.ts'
import { IpvsUnderTest } from './ipvs.ts'
import { defaultSettings } from './settings.ts'
import type { Stage } from './stage.ts'
import { withNode } from './with-node.ts'

/** Of a connection that was reset the kernel knows for 10 s; drains are looked after every 3 s. */
const forgottenMs = 30_000

/** Both families are played at once: most of the time something is waited for. NodePorts are one number space. */
const nodePorts = { IPv4: nodePort, IPv6: nodePort + 1 } as const satisfies Record<Family, number>

interface NetFront extends Front {
  readonly net: Net
}

const fronts: readonly NetFront[] = nets.flatMap((net) => [
  { net, what: `ClusterIP, ${net.family}`, ip: net.clusterIP(1), port },
  { net, what: `NodePort, ${net.family}`, ip: net.at.node, port: nodePorts[net.family] },
  { net, what: `load balancer IP, ${net.family}`, ip: net.vip(1), port },
])

const web = (...pods: readonly PodName[]): readonly Manifest[] =>
  withNode(
    nets.flatMap((net) => {
      const name = `web-${net.family.toLowerCase()}`
      const endpoints = pods.map((pod) => endpoint(net, pod))
      return [
        exposed(net, 'TCP', { name, port: { nodePort: nodePorts[net.family] } }),
        slice(net, 'TCP', endpoints, { service: name }),
      ]
    }),
  )

/** `10.244.0.1 weight 1, 2 open`, sorted, of a virtual server. */
const realServers = ({ net, ip, port }: NetFront): readonly string[] => {
  const address = net.family === 'IPv6' ? `[${ip}]` : ip
  const listing = execFileSync('ipvsadm', ['-Ln', '-t', `${address}:${port}`], { encoding: 'utf8' })
  return [...listing.matchAll(/-> \[?([0-9a-f.:]+?)\]?:8080 +Masq +(\d+) +(\d+) +\d+/g)]
    .map(([, server, weight, open]) => `${server} weight ${weight}, ${open} open`)
    .sort()
}

export const playDrains = async (stage: Stage): Promise<void> => {
  const client = stage.host('client')
  const start = async (drainMs: number): Promise<IpvsUnderTest> => {
    const backend = new IpvsUnderTest({ drainMs })
    await backend.start(web('pod-1'), defaultSettings)
    return backend
  }
  const hold = () =>
    Promise.all(
      fronts.map(async (front) => ({
        front,
        first: front.net.at['pod-1'],
        second: front.net.at['pod-2'],
        held: await client.hold({ address: front.ip, port: front.port, timeoutMs: 10_000 }),
      })),
    )
  const newOnes = async ({ ip, port }: Pick<Front, 'ip' | 'port'>): Promise<readonly string[]> => {
    const outcomes = await client.connect({ address: ip, port, count: 6, timeoutMs: 10_000 })
    return [...new Set(outcomes.map((outcome) => (outcome.kind === 'answered' ? outcome.name : outcome.kind)))].sort()
  }

  await t.test('an endpoint that goes keeps its connections until they end', async (t) => {
    const backend = await start(0)
    const kept = await hold()
    const still = async (what: string): Promise<void> => {
      for (const { front, held } of kept)
        t.same(await client.again(held.connection), held.outcome, `${front.what}: ${what}`)
    }
    const drains = (what: string): void => {
      for (const { front, first, second } of kept)
        t.match(realServers(front), [`${first} weight 0, 1 open`, `${second} weight 1`], `${front.what}: ${what}`)
    }
    await still('it is there')
    await backend.update(web('pod-2'))
    await still('its endpoint has gone')
    for (const { front } of kept) t.same(await newOnes(front), ['pod-2'], `${front.what}: new ones go elsewhere`)
    drains('it drains')
    await backend.update(web('pod-1', 'pod-2'))
    await still('its endpoint is back')
    for (const { front, first, second } of kept)
      t.match(realServers(front), [`${first} weight 1, 1 open`, `${second} weight 1`], `${front.what}: with its weight`)
    // Of closed connections the kernel knows for two minutes, and those of these addresses are not waited for.
    for (const net of nets) t.same(await newOnes({ ip: net.externalIP(1), port }), ['pod-1', 'pod-2'], 'new ones')
    await backend.update(web('pod-2'))
    await backend.stop()
    await backend.start(web('pod-2'), defaultSettings)
    await still('the proxy was away')
    drains('it drains on')
    await sleep(4_000)
    await still('drains have been looked after')
    for (const { held } of kept) await client.release(held.connection, { reset: true })
    const drained = (): boolean => fronts.every((front) => realServers(front).length === 1)
    for (const end = Date.now() + forgottenMs; !drained() && Date.now() < end; ) await sleep(200)
    for (const { front, second } of kept)
      t.match(realServers(front), [`${second} weight 1`], `${front.what}: and then it goes`)
    await backend.stop()
    await backend.remove()
  })

  await t.test('an endpoint that goes keeps its connections no longer than the limit', async (t) => {
    const backend = await start(5_000)
    const kept = await hold()
    await backend.update(web('pod-2'))
    for (const { front, held } of kept)
      t.same(await client.again(held.connection), held.outcome, `${front.what}: within the limit`)
    await sleep(9_000)
    for (const { front, second, held } of kept) {
      t.match(realServers(front), [`${second} weight 1`], `${front.what}: it is gone`)
      t.notSame(await client.again(held.connection), held.outcome, `${front.what}: and so is the connection`)
      await client.release(held.connection)
    }
    await backend.stop()
    await backend.remove()
  })
}

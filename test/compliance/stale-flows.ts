/**
 * S8.5 with clients that never pause: what conntrack knows of them would last for as long as they send. Every front of a
 * Service has a client of its own, and conntrack(8) says which entries are the same as before.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { protocolWord } from '../../src/model/protocol.ts'
import { type Net, nets, nodePort, port, type Server } from '../flows/net.ts'
import { clusterFront, endpoint, exposed, externalFronts, type Front, type Manifest, slice } from '../flows/objects.ts'
import { sh } from '../kernel/cli-program.ts'
import type { BackendUnderTest } from './backend-under-test.ts'
import { Sender } from './sender.ts'
import { defaultSettings } from './settings.ts'
import type { Stage } from './stage.ts'
import { withNode } from './with-node.ts'

const firstPort = 42_001
/** Nobody listens on it. */
const latePort = 91

const frontsOf = (net: Net): readonly Front[] => [clusterFront(net), ...externalFronts(net)]

interface ServedAs {
  readonly name?: string
  readonly spec?: Readonly<Record<string, unknown>>
  readonly port?: number
}

const web = (
  net: Net,
  pods: readonly Server[],
  { name = 'web', spec = {}, port: at = port }: ServedAs = {},
): readonly Manifest[] =>
  withNode([
    exposed(net, 'UDP', { name, spec, port: { port: at } }),
    slice(
      net,
      'UDP',
      pods.map((pod) => endpoint(net, pod)),
      { service: name },
    ),
  ])
const nothing = withNode([])

/** Where the flows from these source ports lead, in their order; '' where there is none. */
const targetsOf = (net: Net, ports: readonly number[]): readonly string[] => {
  const family = net.family === 'IPv4' ? 'ipv4' : 'ipv6'
  const lines = sh(`conntrack -L -f ${family} -p udp 2>/dev/null`).split('\n')
  return ports.map((each) => {
    const line = lines.find((one) => one.includes(` sport=${each} `)) ?? ''
    return [...line.matchAll(/src=(\S+)/g)][1]?.[1] ?? ''
  })
}

/** Numbers that the kernel gave to the entries of these source ports, in their order; '' where there is none. */
const idsOf = (net: Net, ports: readonly number[], protocol: 'UDP' | 'SCTP' = 'UDP'): readonly string[] => {
  const family = net.family === 'IPv4' ? 'ipv4' : 'ipv6'
  const lines = sh(`conntrack -L -f ${family} -p ${protocolWord[protocol]} -o id 2>/dev/null`).split('\n')
  return ports.map((each) => /\bid=(\d+)/.exec(lines.find((line) => line.includes(`sport=${each} `)) ?? '')?.[1] ?? '')
}

export const playStaleFlows = async (backend: BackendUnderTest, stage: Stage): Promise<void> => {
  const senders = (net: Net, protocol: 'UDP' | 'SCTP' = 'UDP'): readonly Sender[] =>
    frontsOf(net).map((front, i) => new Sender({ stage, front, sourcePort: firstPort + i, protocol }))
  const ports = firstPortsOf(frontsOf(nets[0]).length)
  const allCome = async (t: Test, all: readonly Sender[], end: string, what: string): Promise<void> => {
    const seen = await Promise.all(all.map((sender) => sender.until(end)))
    for (const [i, sender] of all.entries()) t.equal(seen[i]?.at(-1), end, `${what}: ${sender.front.what}, ${seen[i]}`)
  }
  const end = async (all: readonly Sender[]): Promise<void> => {
    await Promise.all(all.map((sender) => sender.end()))
    await backend.stop()
    await backend.cleanup()
    sh('conntrack -F')
  }
  const test = (net: Net, name: string, play: (t: Test) => Promise<void>): Promise<unknown> =>
    t.test(`S8.5 ${name}, ${net.family}, ${backend.name}`, play)

  const play = async (
    t: Test,
    net: Net,
    before: readonly Manifest[],
    steps: readonly (readonly Manifest[])[],
    pauseMs = 0,
  ): Promise<void> => {
    await backend.start(before, defaultSettings)
    const all = senders(net)
    await allCome(t, all, 'pod-1', 'before')
    for (const step of steps) {
      await backend.update(step)
      await sleep(pauseMs)
    }
    await allCome(t, all, 'pod-1', 'afterwards')
    await end(all)
  }

  const older = async (t: Test, net: Net): Promise<void> => {
    await backend.start(nothing, defaultSettings)
    const all = senders(net)
    await Promise.all(all.map((sender) => sender.next(2)))
    t.notOk(idsOf(net, ports).includes(''), 'conntrack knows every flow')
    await backend.update(web(net, ['pod-1']))
    await allCome(t, all, 'pod-1', 'the Service is there')
    await end(all)
  }

  for (const net of nets) {
    await test(net, 'endpoints go, one after the other, and come again', async (t) => {
      await backend.start(web(net, ['pod-1']), defaultSettings)
      const all = senders(net)
      await allCome(t, all, 'pod-1', 'one endpoint')
      const ids = idsOf(net, ports)
      await backend.update(web(net, ['pod-1', 'pod-2']))
      t.same(idsOf(net, ports), ids, 'one more: every entry is the one that it was')
      if (backend.traits.flowsIn === 'kernel') {
        await backend.update(web(net, ['pod-2']))
        await allCome(t, all, 'pod-2', 'the next')
      }
      await backend.update(web(net, []))
      await allCome(t, all, 'refused', 'none left')
      t.same(
        idsOf(net, ports).filter((id) => id !== ''),
        [],
        'and no entry',
      )
      await backend.update(web(net, ['pod-1']))
      await allCome(t, all, 'pod-1', 'one again')
      await end(all)
    })

    await test(net, 'a Service younger than its flows', (t) => older(t, net))
    await test(net, 'answers from the Service’s addresses began them', async (t) => {
      const served = web(net, ['pod-1'], { port: latePort })
      const late = externalFronts(net).flatMap(({ what, ip, port: at }) =>
        at === port ? [{ what, ip, port: latePort }] : [],
      )
      const clients = (): readonly Sender[] =>
        late.map((front, i) => new Sender({ stage, front, sourcePort: firstPort + i }))
      const answers = async (): Promise<void> => {
        for (const [i, { ip: sourceAddress }] of late.entries()) {
          const to = { protocol: 'UDP', address: net.at.client, port: firstPort + i, timeoutMs: 50 } as const
          await stage.host('elsewhere').ask({ ...to, sourceAddress, sourcePort: latePort })
        }
        t.notOk(idsOf(net, [latePort]).includes(''), 'conntrack knows them')
      }
      await backend.start(nothing, defaultSettings)
      await answers()
      const first = clients()
      await Promise.all(first.map((sender) => sender.next(2)))
      await backend.update(served)
      await allCome(t, first, 'pod-1', 'before it is there')
      await backend.update(nothing)
      await Promise.all(first.map((sender) => sender.next(2)))
      await Promise.all(first.map((sender) => sender.end()))
      await backend.update(served)
      await answers()
      const second = clients()
      await allCome(t, second, 'pod-1', 'just after it is there')
      await end(second)
    })
    await test(net, 'another Service takes over the addresses', (t) =>
      play(t, net, web(net, ['pod-1']), [web(net, ['pod-1'], { name: 'other' })]),
    )
    await test(net, 'deleted and recreated', (t) => play(t, net, web(net, ['pod-1']), [nothing, web(net, ['pod-1'])]))
    await test(net, 'deleted and recreated after a while', (t) =>
      play(t, net, web(net, ['pod-1']), [nothing, web(net, ['pod-1'])], 300),
    )
    const local = web(net, ['pod-1'], { spec: { externalTrafficPolicy: 'Local' } })
    await test(net, 'deleted and recreated with externalTrafficPolicy Local', (t) =>
      play(t, net, local, [nothing, local], 300),
    )
    await test(net, 'externalTrafficPolicy Local to Cluster', (t) => play(t, net, local, [web(net, ['pod-1'])]))
    await test(net, 'externalTrafficPolicy Cluster to Local', (t) => play(t, net, web(net, ['pod-1']), [local]))

    await test(net, 'a restart', async (t) => {
      await backend.start(web(net, ['pod-1']), defaultSettings)
      const all = senders(net)
      await allCome(t, all, 'pod-1', 'before')
      const ids = idsOf(net, ports)
      await backend.stop()
      await backend.start(web(net, ['pod-1']), defaultSettings)
      t.same(idsOf(net, ports), ids, 'every entry is the one that it was')
      await allCome(t, all, 'pod-1', 'afterwards')
      await backend.stop()
      await backend.start(web(net, ['pod-2']), defaultSettings)
      await allCome(t, all, 'pod-2', 'its endpoint went meanwhile')
      await end(all)
    })

    await test(net, 'a client with affinity that is never answered', async (t) => {
      if (backend.traits.flowsIn === 'process') return
      const sticky = (pods: readonly Server[]): readonly Manifest[] =>
        web(net, pods, { spec: { sessionAffinity: 'ClientIP' } })
      const mute = 'table inet mute { chain output { type filter hook output priority 0; meta l4proto udp drop; }; }'
      for (const pod of ['pod-1', 'pod-2'] as const) await stage.host(pod).run(['nft', mute])
      await backend.start(sticky(['pod-1']), defaultSettings)
      const all = senders(net)
      await Promise.all(all.map((sender) => sender.next(2)))
      t.same(
        targetsOf(net, ports),
        ports.map(() => net.at['pod-1']),
        'before',
      )
      await backend.update(sticky(['pod-2']))
      await Promise.all(all.map((sender) => sender.next(5)))
      t.same(
        targetsOf(net, ports),
        ports.map(() => net.at['pod-2']),
        'afterwards',
      )
      await end(all)
      for (const pod of ['pod-1', 'pod-2'] as const) await stage.host(pod).run(['nft', 'delete table inet mute'])
    })

    await test(net, 'flows of others', async (t) => {
      const { elsewhere, client } = net.at
      const family = net.family === 'IPv4' ? 'ip' : 'ip6'
      const translated = net.externalIP(77)
      const bracketed = net.family === 'IPv4' ? elsewhere : `[${elsewhere}]`
      sh(
        `nft -f -`,
        `table ${family} foreign {
        chain prerouting {
          type nat hook prerouting priority -150
          ${family} daddr ${translated} udp dport 5353 dnat to ${bracketed}:${port}
        }
      }`,
      )
      const foreign: readonly Front[] = [
        { what: 'somebody’s DNS', ip: elsewhere, port: 90 },
        { what: 'somebody’s DNAT', ip: translated, port: 5353 },
        { what: 'the NodePort’s number at another host', ip: elsewhere, port: nodePort },
      ]
      const all = foreign.map((front, i) => new Sender({ stage, front, sourcePort: firstPort + i }))
      const others = firstPortsOf(foreign.length)
      await backend.start(web(net, ['pod-1']), defaultSettings)
      await allCome(t, all, 'elsewhere', 'before')
      const ids = idsOf(net, others)
      t.notOk(ids.includes(''), `${ids} are entries of ${client}`)
      for (const objects of [web(net, []), nothing, web(net, ['pod-2']), web(net, ['pod-1', 'pod-2'])])
        await backend.update(objects)
      await allCome(t, all, 'elsewhere', 'afterwards')
      t.same(idsOf(net, others), ids, 'every entry is the one that it was')
      sh(`nft delete table ${family} foreign`)
      await end(all)
    })
  }
}

const firstPortsOf = (count: number): readonly number[] => Array.from({ length: count }, (_, i) => firstPort + i)

/** The same for SCTP, whose associations keep their entries alive by heartbeats. */
export const playStaleAssociations = async (backend: BackendUnderTest, stage: Stage): Promise<void> => {
  const protocol = 'SCTP'
  const server = (net: Net, ...pods: readonly Server[]): readonly Manifest[] =>
    withNode([
      exposed(net, protocol),
      slice(
        net,
        protocol,
        pods.map((pod) => endpoint(net, pod)),
      ),
    ])
  for (const net of nets)
    await t.test(`S8.5 associations whose endpoint is gone, ${net.family}, ${backend.name}`, async (t) => {
      const fronts = frontsOf(net)
      const ports = firstPortsOf(fronts.length)
      await backend.start(server(net, 'pod-1'), defaultSettings)
      const ask = async (): Promise<readonly string[]> =>
        Promise.all(
          fronts.map(async ({ ip: address, port: at }, i) => {
            const sourcePort = firstPort + i
            const to = { protocol, address, port: at, sourcePort, timeoutMs: 500 } as const
            const outcome = await stage.host('client').ask(to)
            return outcome.kind === 'answered' ? outcome.name : outcome.kind
          }),
        )
      t.same(await ask(), ['pod-1', 'pod-1', 'pod-1', 'pod-1'])
      const ids = idsOf(net, ports, protocol)
      await backend.update(server(net, 'pod-1', 'pod-2'))
      t.same(idsOf(net, ports, protocol), ids, 'one more: every entry is the one that it was')
      await backend.update(server(net, 'pod-2'))
      t.same(
        idsOf(net, ports, protocol).filter((id) => id !== ''),
        [],
        'no entry is left',
      )
      t.same(await ask(), ['pod-2', 'pod-2', 'pod-2', 'pod-2'])
      await backend.update(nothing)
      t.same(
        idsOf(net, ports, protocol).filter((id) => id !== ''),
        [],
        'nor of a Service that was removed',
      )
      await backend.stop()
      await backend.cleanup()
      sh('conntrack -F')
    })
}

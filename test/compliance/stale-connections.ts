/**
 * weir.dev/reset-stale-tcp: what a client in the middle of a TCP connection sees when the node of its endpoint dies: it
 * answers nothing any more, and a while later no EndpointSlice knows it.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { type Net, nets, type Server } from '../flows/net.ts'
import {
  clusterFront,
  type EndpointOptions,
  endpoint,
  exposed,
  externalFronts,
  leaving,
  type Manifest,
  slice,
} from '../flows/objects.ts'
import { eventually, sh } from '../kernel/cli-program.ts'
import type { BackendUnderTest } from './backend-under-test.ts'
import { defaultSettings } from './settings.ts'
import type { Stage } from './stage.ts'
import { withNode } from './with-node.ts'

/** Asks again every 100 ms over one connection, and says in the end what became of it. */
const client = (address: string, port: number, limitMs: number): string => `
  const socket = require('node:net').connect(${port}, ${JSON.stringify(address)})
  let answers = 0
  let pending = 0
  const say = (what) => { console.log(what); process.exit() }
  socket.on('data', (data) => { if (data.includes('HTTP/1.1 200')) { answers++; pending = 0 } })
  socket.on('error', (error) => say(error.code))
  socket.on('close', () => say('closed'))
  const ask = () => { if (pending++ === 0) socket.write('GET / HTTP/1.1\\r\\nHost: x\\r\\nConnection: keep-alive\\r\\n\\r\\n') }
  socket.on('connect', () => setInterval(ask, 100))
  setTimeout(() => say(pending > 5 ? 'hangs' : 'answered'), ${limitMs})
`

const web = (net: Net, reset: boolean, pods: readonly (readonly [Server, EndpointOptions?])[]): readonly Manifest[] =>
  withNode([
    exposed(net, 'TCP', { annotations: { 'weir.dev/reset-stale-tcp': String(reset) } }),
    slice(
      net,
      'TCP',
      pods.map(([pod, options]) => endpoint(net, pod, options)),
    ),
  ])

export const playStaleConnections = async (backend: BackendUnderTest, stage: Stage): Promise<void> => {
  const pod = stage.host('pod-1')
  /** Nothing is answered any more, nor refused. */
  const die = (): Promise<string> =>
    pod.run(['nft', 'table inet dead { chain input { type filter hook input priority 0; policy drop; }; }'])
  const live = (): Promise<string> => pod.run(['nft', 'delete table inet dead'])
  interface Case {
    readonly name: string
    readonly reset?: boolean
    /** The endpoints afterwards. */
    readonly after: readonly (readonly (readonly [Server, EndpointOptions?])[])[]
    readonly expect: 'ECONNRESET' | 'hangs'
  }
  const cases: readonly Case[] = [
    { name: 'vanished, another one is there', after: [[['pod-2']]], expect: 'ECONNRESET' },
    { name: 'vanished, another one comes later', after: [[], [['pod-2']]], expect: 'ECONNRESET' },
    { name: 'vanished, the last one', after: [[]], expect: 'ECONNRESET' },
    { name: 'vanished, not asked for', reset: false, after: [[['pod-2']]], expect: 'hangs' },
    { name: 'was terminating', after: [[['pod-1', leaving], ['pod-2']], [['pod-2']]], expect: 'hangs' },
    { name: 'is there, not ready', after: [[['pod-1', { ready: false, serving: false }], ['pod-2']]], expect: 'hangs' },
  ]
  const play = async (t: Test, net: Net, { reset = true, after, expect }: Case): Promise<void> => {
    await backend.start(web(net, reset, [['pod-1']]), defaultSettings)
    const clients = [
      ...[clusterFront(net), ...externalFronts(net)].map((front) => ({ ...front, from: 'client' as const })),
      { ...clusterFront(net), from: 'node' as const },
    ]
    const seen = clients.map(({ from, ip, port }) =>
      stage.host(from).run([process.execPath, '-e', client(ip, port, 4_500)]),
    )
    await eventually(
      () =>
        sh(`conntrack -L -f ${net.family.toLowerCase()} -p tcp 2>/dev/null`).match(/ESTABLISHED .*ASSURED/g)?.length,
      (count) => count === clients.length,
    )
    await die()
    for (const pods of after) {
      await backend.update(web(net, reset, pods))
      await sleep(1_300)
    }
    const outcomes = (await Promise.all(seen)).map((text) => text.trim())
    await live()
    for (const [i, { what, from }] of clients.entries()) t.equal(outcomes[i], expect, `${from} to ${what}`)
    await backend.stop()
    await backend.cleanup()
    sh('conntrack -F')
  }
  for (const net of nets)
    for (const each of cases) {
      // What stays takes as long as the client's patience, and is decided without a look at the family.
      if (net.family === 'IPv6' && each.expect === 'hangs') continue
      await t.test(`S8.6 a connection whose endpoint ${each.name}, ${net.family}, ${backend.name}`, (t) =>
        play(t, net, each),
      )
    }
}

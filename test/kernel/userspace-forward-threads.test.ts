/** The forwarding engine in two worker threads: sockets that share a port, counters that are one, affinity across threads. */
import type { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { createForwarder } from '../../src/backends/userspace/forward/create-forwarder.ts'
import type { ForwarderEvent } from '../../src/backends/userspace/forward/forwarder.ts'
import { openListening } from '../../src/kernel/inet/inet-socket.ts'
import {
  ask,
  askUdp,
  changeOf,
  ip,
  listenerSpec,
  namedServer,
  never,
  portOf,
  readAll,
  serve,
  serverSpec,
  statsOf,
  target,
  tcpClient,
  tcpServer,
  udpServer,
  until,
  unusedPort,
} from '../support/forwarding.ts'
import { ownNamespace } from '../support/namespace.ts'

ownNamespace(import.meta.url)

t.test('schedulers of both threads see the connections of both', async (t) => {
  const servers = [await tcpServer(), await tcpServer(), await tcpServer()]
  const forwarder = createForwarder({ threads: 2 })
  t.teardown(async () => {
    await forwarder.close(0)
    for (const server of servers) await server.close()
  })
  const targets = servers.map((server) => target(server.port))
  const port = await serve(forwarder, serverSpec(targets, { scheduler: 'lc' }))
  const clients: Socket[] = []
  for (let i = 1; i <= 60; i++) {
    clients.push(await tcpClient(port))
    await until(() => statsOf(forwarder).total === i, 'it is counted')
  }
  // With counters of its own each thread would still be fair, but not the two together, connection by connection.
  t.same(
    servers.map(({ connections }) => connections.length),
    [20, 20, 20],
    'least connection is exact across threads',
  )
  t.match(statsOf(forwarder), { active: 60, inactive: 0, total: 60 })
  for (const socket of servers[0]?.connections ?? []) socket.resetAndDestroy()
  await until(() => statsOf(forwarder).active === 40, 'twenty are gone')
  for (let i = 61; i <= 80; i++) {
    clients.push(await tcpClient(port))
    await until(() => statsOf(forwarder).total === i, 'it is counted')
  }
  t.equal(servers[0]?.connections.length, 40, 'the next twenty go where room has come to be')
  for (const client of clients) client.destroy()
  for (const { connections } of servers) for (const socket of connections) socket.destroy()
  await until(() => forwarder.stats().connections === 0, 'all have ended')
  const { active, inactive, endpoints } = statsOf(forwarder)
  t.same({ active, inactive }, { active: 0, inactive: 0 })
  t.ok(endpoints.every((one) => one.active === 0 && one.inactive === 0))
})

t.test('connections are spread over the threads', async (t) => {
  // Round robin is of each thread: were there only one, two endpoints would take turns strictly.
  const servers = [await namedServer('a'), await namedServer('b')]
  const forwarder = createForwarder({ threads: 2 })
  t.teardown(async () => {
    await forwarder.close(0)
    for (const server of servers) await server.close()
  })
  const port = await serve(forwarder, serverSpec(servers.map((server) => target(server.port))))
  let answers = ''
  for (let i = 0; i < 40; i++) answers += await ask(port)
  t.notMatch(answers, /^(ab)+$|^(ba)+$/, answers)
  const share = [...answers].filter((answer) => answer === 'a').length
  t.ok(share >= 18 && share <= 22, `and still each endpoint gets its share: ${share} of 40`)
})

t.test('a client keeps its endpoint whatever thread its connections would have gone to', async (t) => {
  const servers = await Promise.all(['a', 'b', 'c'].map(namedServer))
  const udp = await Promise.all(['a', 'b', 'c'].map((name) => udpServer(name)))
  const forwarder = createForwarder({ threads: 2 })
  t.teardown(async () => {
    await forwarder.close(0)
    for (const server of [...servers, ...udp]) await server.close()
  })
  const over = { affinitySeconds: 60 }
  const port = await serve(
    forwarder,
    serverSpec(
      servers.map((server) => target(server.port)),
      over,
    ),
  )
  const answers = new Map<string, Set<string>>()
  for (let client = 1; client <= 12; client++) {
    const from = `127.0.1.${client}`
    const seen = new Set<string>()
    for (let i = 0; i < 6; i++) seen.add(await ask(port, { from }))
    answers.set(from, seen)
  }
  t.ok(
    [...answers.values()].every((seen) => seen.size === 1),
    'each of twelve clients, six connections each',
  )
  t.equal(new Set([...answers.values()].flatMap((seen) => [...seen])).size, 3, 'all endpoints are in use')

  const udpSpec = serverSpec(
    udp.map((server) => target(server.port)),
    { id: 'udp', protocol: 'UDP', ...over },
  )
  const udpPort = await serve(forwarder, udpSpec, { id: 'udp' })
  const seen = new Set<string | undefined>()
  for (let i = 0; i < 8; i++) {
    const client = await udpServer()
    seen.add(await askUdp(client, udpPort, 'x'))
    client.close()
  }
  t.equal(seen.size, 1, 'UDP too')
})

t.test('affinity that is switched on later applies to listeners that are there', async (t) => {
  const servers = await Promise.all(['a', 'b'].map(namedServer))
  const forwarder = createForwarder({ threads: 2 })
  t.teardown(async () => {
    await forwarder.close(0)
    for (const server of servers) await server.close()
  })
  const targets = servers.map((server) => target(server.port))
  const wanted = await unusedPort()
  const port = await serve(forwarder, serverSpec(targets), { port: wanted })
  t.equal(port, wanted)
  await forwarder.apply(changeOf([serverSpec(targets, { affinitySeconds: 60 })]), never)
  const seen = new Set<string>()
  for (let i = 0; i < 12; i++) seen.add(await ask(wanted))
  t.equal(seen.size, 1)
})

t.test('failures of an endpoint are counted over both threads', async (t) => {
  const alive = await namedServer('alive')
  const dead = await unusedPort()
  const forwarder = createForwarder({ threads: 2, ejectMs: 60_000 })
  t.teardown(async () => {
    await forwarder.close(0)
    await alive.close()
  })
  const events: ForwarderEvent[] = []
  forwarder.onEvent((event) => events.push(event))
  const port = await serve(forwarder, serverSpec([target(dead), target(alive.port)]))
  for (let i = 0; i < 30; i++) t.equal(await ask(port), 'alive')
  t.match(events, [{ kind: 'ejected', port: dead }])
  t.match(statsOf(forwarder).endpoints, [{ failed: 3 }, { total: 30 }])
})

t.test('limits hold over both threads', async (t) => {
  const server = await tcpServer()
  const forwarder = createForwarder({ threads: 2 })
  t.teardown(async () => {
    await forwarder.close(0)
    await server.close()
  })
  const port = await serve(forwarder, serverSpec([target(server.port)], { maxConnections: 5 }))
  const fates = await Promise.all(
    Array.from({ length: 20 }, async () => {
      try {
        return await Promise.race([readAll(await tcpClient(port)), sleep(500, 'open')])
      } catch (error) {
        return (error as NodeJS.ErrnoException).code
      }
    }),
  )
  t.equal(fates.filter((fate) => fate === 'open').length, 5)
  t.equal(fates.filter((fate) => fate === 'ECONNRESET').length, 15)
  t.match(statsOf(forwarder), { limited: 15, total: 5 })
})

t.test('a port is not shared with strangers, not even with those who would', async (t) => {
  const forwarder = createForwarder({ threads: 2 })
  t.teardown(() => forwarder.close(0))
  const port = await serve(forwarder, serverSpec([]))
  const spec = { address: ip('127.0.0.1'), port, byClient: false, backlog: 1 }
  for (const protocol of ['TCP', 'UDP'] as const) {
    const states = await forwarder.apply(
      changeOf(
        [serverSpec([], { id: protocol, protocol })],
        [listenerSpec({ id: protocol, protocol, server: protocol })],
      ),
      never,
    )
    const taken = portOf(states, protocol)
    t.throws(() => openListening({ ...spec, protocol, port: taken, sockets: 2 }), { code: 'EADDRINUSE' }, protocol)
  }
})

t.test('closing drains the connections of both threads', async (t) => {
  const server = await tcpServer()
  t.teardown(() => server.close())
  const forwarder = createForwarder({ threads: 2 })
  const port = await serve(forwarder, serverSpec([target(server.port)]))
  const clients = await Promise.all(Array.from({ length: 10 }, () => tcpClient(port)))
  await until(() => server.connections.length === 10, 'all are there')
  const answers = clients.map(readAll)
  const closing = forwarder.close(10_000)
  await sleep(100)
  await t.rejects(tcpClient(port), { code: 'ECONNREFUSED' }, 'nothing new')
  for (const socket of server.connections) socket.end('bye')
  t.same(new Set(await Promise.all(answers)), new Set(['bye']))
  for (const client of clients) client.end()
  await closing
  t.equal(forwarder.stats().connections, 0)

  const hasty = createForwarder({ threads: 2 })
  const other = await tcpClient(await serve(hasty, serverSpec([target(server.port)])))
  await until(() => server.connections.length === 11, 'it is there')
  const fate = readAll(other)
  await hasty.close(50)
  t.equal(await fate, 'ECONNRESET', 'and resets what is left')
})

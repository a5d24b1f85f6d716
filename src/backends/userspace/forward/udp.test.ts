import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import {
  askUdp,
  changeOf,
  ip,
  listenerSpec,
  never,
  serve,
  serverSpec,
  statsOf,
  type TestUdp,
  target,
  udpServer,
  until,
} from '../../../../test/support/forwarding.ts'
import { afterwards, forwarding } from '../../../../test/support/forwarding-fixture.ts'
import type { VirtualServerSpec } from './forwarder.ts'

const peer = async (name?: string, port = 0): Promise<TestUdp> => {
  const socket = await udpServer(name, { port })
  afterwards(socket.close)
  return socket
}

const spec = (servers: readonly TestUdp[], over: Partial<VirtualServerSpec> = {}): VirtualServerSpec =>
  serverSpec(
    servers.map(({ port }) => target(port)),
    { protocol: 'UDP', ...over },
  )

describe('sessions', () => {
  it('belong to one client and one endpoint, and answers come from where the client asked', async () => {
    const servers = [await peer('a'), await peer('b')]
    const forwarder = forwarding()
    const port = await serve(forwarder, spec(servers))
    const clients = [await peer(), await peer()]
    for (const text of ['1', '2', '3'])
      for (const [i, client] of clients.entries()) expect(await askUdp(client, port, text)).toBe(`${'ab'[i]}:${text}`)
    for (const { received } of clients) expect(received.every((one) => one.port === port)).toBe(true)
    // One socket per session: each endpoint sees one client.
    for (const { received } of servers) expect(new Set(received.map((one) => one.port)).size).toBe(1)
    expect(statsOf(forwarder)).toMatchObject({ total: 2, active: 0, inactive: 2, bytesIn: 6, bytesOut: 18 })
    expect(forwarder.stats()).toMatchObject({ udpSessions: 2, connections: 2 })
  })

  it('carry empty and large datagrams', async () => {
    const server = await peer('a')
    const port = await serve(forwarding(), spec([server]))
    const client = await peer()
    expect(await askUdp(client, port, '')).toBe('a:')
    const large = 'x'.repeat(60_000)
    expect(await askUdp(client, port, large)).toBe(`a:${large}`)
  })

  it('end when nothing is said, and the next datagram begins another', async () => {
    const servers = [await peer('a'), await peer('b')]
    const forwarder = forwarding({ udpSessionMs: 160 })
    const port = await serve(forwarder, spec(servers))
    const client = await peer()
    for (let i = 0; i < 6; i++) {
      expect(await askUdp(client, port, 'x')).toBe('a:x')
      await sleep(60)
    }
    await until(() => forwarder.stats().udpSessions === 0, 'the session ends', 1000)
    expect(statsOf(forwarder)).toMatchObject({ total: 1, inactive: 0 })
    expect(await askUdp(client, port, 'x')).toBe('b:x')
  })

  it('let an answer that comes too late go nowhere, and harm nobody', async () => {
    const server = await peer()
    const forwarder = forwarding({ udpSessionMs: 100 })
    const port = await serve(forwarder, spec([server]))
    const [client, other] = [await peer(), await peer()]
    client.socket.send('x', port, '127.0.0.1')
    await until(() => server.received.length === 1, 'it arrives')
    await until(() => forwarder.stats().udpSessions === 0, 'the session ends')
    server.socket.send('too late', server.received[0]?.port ?? 0, '127.0.0.1')
    await sleep(30)
    expect(client.received).toEqual([])
    other.socket.send('y', port, '127.0.0.1')
    await until(() => server.received.length === 2, 'others are served')
    server.socket.send('in time', server.received[1]?.port ?? 0, '127.0.0.1')
    await until(() => other.received.length === 1, 'and answered')
    expect(other.received).toEqual([{ port, text: 'in time' }])
  })

  it('ignore datagrams from anyone but their endpoint', async () => {
    const server = await peer()
    const port = await serve(forwarding(), spec([server]))
    const [client, stranger] = [await peer(), await peer()]
    client.socket.send('x', port, '127.0.0.1')
    await until(() => server.received.length === 1, 'it arrives')
    stranger.socket.send('forged', server.received[0]?.port ?? 0, '127.0.0.1')
    server.socket.send('true', server.received[0]?.port ?? 0, '127.0.0.1')
    await until(() => client.received.length === 1, 'the answer')
    expect(client.received).toEqual([{ port, text: 'true' }])
  })

  it('are bounded: the oldest that nobody answered makes room', async () => {
    const [silent] = [await peer()]
    const forwarder = forwarding({ maxUdpSessions: 2 })
    const port = await serve(forwarder, spec([silent]))
    const clients = [await peer(), await peer(), await peer()]
    for (const [i, client] of clients.entries()) {
      client.socket.send(String(i), port, '127.0.0.1')
      await until(() => silent.received.length === i + 1, 'it arrives')
    }
    expect(forwarder.stats().udpSessions).toBe(2)
    const [first, second, third] = silent.received.map((one) => one.port)
    for (const from of [first, second, third]) silent.socket.send('re', from ?? 0, '127.0.0.1')
    await until(() => clients[1]?.received.length === 1 && clients[2]?.received.length === 1, 'the newer two hear')
    expect(clients[0]?.received).toEqual([])
    // Both are answered now: there is no room.
    clients[0]?.socket.send('again', port, '127.0.0.1')
    await until(() => statsOf(forwarder).limited === 1, 'it is turned away')
    expect(silent.received).toHaveLength(3)
  })

  it('count against the limit of their server', async () => {
    const server = await peer('a')
    const forwarder = forwarding()
    const port = await serve(forwarder, spec([server], { maxConnections: 1 }))
    const [client, other] = [await peer(), await peer()]
    expect(await askUdp(client, port, 'x')).toBe('a:x')
    expect(await askUdp(other, port, 'x', 50)).toBeUndefined()
    expect(await askUdp(client, port, 'y')).toBe('a:y')
    expect(statsOf(forwarder)).toMatchObject({ limited: 1, total: 1 })
  })
})

describe('endpoints', () => {
  it('that refuse lose their session to another with the next datagram', async () => {
    const dead = await peer()
    dead.close()
    const alive = await peer('alive')
    const forwarder = forwarding()
    const port = await serve(forwarder, spec([dead, alive]))
    const client = await peer()
    client.socket.send('lost', port, '127.0.0.1')
    await until(() => statsOf(forwarder).endpoints[0]?.failed === 1, 'it refuses')
    expect(await askUdp(client, port, 'x')).toBe('alive:x')
    expect(statsOf(forwarder)).toMatchObject({ total: 1, inactive: 1 })
    expect(statsOf(forwarder).endpoints).toMatchObject([{ inactive: 0 }, { inactive: 1 }])
  })

  it('that refuse are ejected after three times, and are tried again when they are the only ones', async () => {
    const dead = await peer()
    dead.close()
    const forwarder = forwarding()
    const port = await serve(forwarder, spec([dead]))
    const client = await peer()
    for (let i = 1; i <= 4; i++) {
      client.socket.send('x', port, '127.0.0.1')
      await until(() => statsOf(forwarder).endpoints[0]?.failed === i, `it refuses ${i} times`)
    }
    expect(statsOf(forwarder).endpoints[0]?.ejectedMs).toBeUndefined()
    const back = await peer('back', dead.port)
    expect(back.port).toBe(dead.port)
    expect(await askUdp(client, port, 'x')).toBe('back:x')
  })

  it('that are removed lose their sessions at once', async () => {
    const servers = [await peer('a'), await peer('b')]
    const forwarder = forwarding()
    const port = await serve(forwarder, spec(servers))
    const client = await peer()
    expect(await askUdp(client, port, 'x')).toBe('a:x')
    await forwarder.apply(changeOf([spec(servers.slice(1))]), never)
    expect(forwarder.stats().udpSessions).toBe(0)
    expect(await askUdp(client, port, 'x')).toBe('b:x')
  })

  it('keep a client over its ports under affinity', async () => {
    const servers = [await peer('a'), await peer('b')]
    const port = await serve(forwarding(), spec(servers, { affinitySeconds: 10 }))
    for (let i = 0; i < 3; i++) expect(await askUdp(await peer(), port, 'x')).toBe('a:x')
  })
})

describe('listeners', () => {
  it('answer over IPv6', async () => {
    const server = await udpServer('six', { host: '::1' })
    const client = await udpServer(undefined, { host: '::1' })
    afterwards(server.close)
    afterwards(client.close)
    const six = serverSpec([target(server.port, 1, '::1')], { protocol: 'UDP' })
    const port = await serve(forwarding(), six, { address: ip('::1') })
    client.socket.send('x', port, '::1')
    await until(() => client.received.length === 1, 'the answer')
    expect(client.received).toEqual([{ port, text: 'six:x' }])
  })

  it('end their sessions when they go', async () => {
    const server = await peer('a')
    const forwarder = forwarding()
    const port = await serve(forwarder, spec([server]))
    expect(await askUdp(await peer(), port, 'x')).toBe('a:x')
    await forwarder.apply({ servers: new Map(), listeners: new Map([['listener', undefined]]) }, never)
    expect(forwarder.stats()).toMatchObject({ udpSessions: 0, connections: 0 })
    expect(statsOf(forwarder).inactive).toBe(0)
  })

  it('share nothing with TCP on the same port', async () => {
    const server = await peer('a')
    const forwarder = forwarding()
    const port = await serve(forwarder, spec([server]))
    const [state] = await forwarder.apply(
      changeOf([serverSpec([], { id: 'tcp' })], [listenerSpec({ id: 'tcp', port, server: 'tcp' })]),
      never,
    )
    expect(state).toMatchObject({ port, error: undefined })
  })

  it('report a port that is taken', async () => {
    const holder = await peer()
    const forwarder = forwarding()
    const taken = listenerSpec({ protocol: 'UDP', port: holder.port })
    const [state] = await forwarder.apply(changeOf([spec([])], [taken]), never)
    expect(state).toMatchObject({ port: undefined, error: { code: 'address-in-use' } })
  })
})

import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import {
  ask,
  changeOf,
  echoServer,
  ip,
  listenerSpec,
  namedServer,
  never,
  portOf,
  readAll,
  serve,
  serverSpec,
  statsOf,
  type TestServer,
  target,
  tcpClient,
  tcpServer,
  until,
  unusedPort,
} from '../../../../test/support/forwarding.ts'
import { accepted, afterwards, forwarding, running } from '../../../../test/support/forwarding-fixture.ts'
import { parseProxyHeader } from '../../../../test/support/proxy-header.ts'
import type { Forwarder, ForwarderEvent } from './forwarder.ts'

/** What becomes of a connection that is reset, be it while it is opened or after. */
const fateOf = async (port: number): Promise<string> => {
  try {
    return await ask(port)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? ''
  }
}

const idle = (forwarder: Forwarder): Promise<void> =>
  until(() => forwarder.stats().connections === 0, 'all connections have ended')

describe('copying', () => {
  it('carries a megabyte each way, byte for byte', async () => {
    const echo = await running(echoServer())
    const forwarder = forwarding()
    const client = await tcpClient(await serve(forwarder, serverSpec([target(echo.port)])))
    const sent = Array.from({ length: 200_000 }, (_, i) => i).join()
    const answer = readAll(client)
    client.end(sent)
    expect(await answer).toBe(sent)
    await idle(forwarder)
    const { bytesIn, bytesOut, total, active, inactive } = statsOf(forwarder)
    expect({ bytesIn, bytesOut, total, active, inactive }).toEqual({
      bytesIn: sent.length,
      bytesOut: sent.length,
      total: 1,
      active: 0,
      inactive: 0,
    })
  })

  it('lets the server speak first', async () => {
    const server = await running(namedServer('220 ready'))
    expect(await ask(await serve(forwarding(), serverSpec([target(server.port)])))).toBe('220 ready')
  })

  it('carries IPv6', async () => {
    const server = await running(tcpServer((socket) => void socket.end('six'), { host: '::1' }))
    const port = await serve(forwarding(), serverSpec([target(server.port, 1, '::1')]), { address: ip('::1') })
    expect(await ask(port, { host: '::1' })).toBe('six')
  })

  it('passes the client’s FIN on, and what the endpoint says after it', async () => {
    const server = await running(tcpServer())
    const forwarder = forwarding()
    const client = await tcpClient(await serve(forwarder, serverSpec([target(server.port)])))
    const endpoint = await accepted(server)
    const heard = readAll(endpoint)
    const answer = readAll(client)
    client.end('question')
    expect(await heard).toBe('question')
    expect(statsOf(forwarder)).toMatchObject({ active: 0, inactive: 1 })
    await sleep(30)
    endpoint.write('late ')
    await sleep(30)
    endpoint.end('answer')
    expect(await answer).toBe('late answer')
    await idle(forwarder)
  })

  it('passes the endpoint’s FIN on, and what the client says after it', async () => {
    const server = await running(tcpServer())
    const forwarder = forwarding()
    const client = await tcpClient(await serve(forwarder, serverSpec([target(server.port)])))
    const endpoint = await accepted(server)
    const heard = readAll(endpoint)
    const answer = readAll(client)
    endpoint.end('greeting')
    expect(await answer).toBe('greeting')
    expect(statsOf(forwarder)).toMatchObject({ active: 0, inactive: 1 })
    client.write('still ')
    await sleep(30)
    client.end('here')
    expect(await heard).toBe('still here')
    await idle(forwarder)
  })
})

describe('faults', () => {
  it('resets the client when its endpoint resets, and nobody else', async () => {
    const server = await running(tcpServer())
    const forwarder = forwarding()
    const port = await serve(forwarder, serverSpec([target(server.port)]))
    const [one, other] = [await tcpClient(port), await tcpClient(port)]
    const [first, second] = [await accepted(server, 0), await accepted(server, 1)]
    const fate = readAll(one)
    first.write('half of')
    await once(one, 'data')
    first.resetAndDestroy()
    expect(await fate).toBe('ECONNRESET')
    const answer = readAll(other)
    second.end('all is well')
    expect(await answer).toBe('all is well')
  })

  it('resets the endpoint when the client resets', async () => {
    const server = await running(tcpServer())
    const forwarder = forwarding()
    const client = await tcpClient(await serve(forwarder, serverSpec([target(server.port)])))
    const endpoint = await accepted(server)
    const fate = readAll(endpoint)
    client.resetAndDestroy()
    expect(await fate).toBe('ECONNRESET')
    await idle(forwarder)
  })

  it('closes both ways when an endpoint that has closed gets more', async () => {
    const server = await running(tcpServer())
    const forwarder = forwarding()
    const client = await tcpClient(await serve(forwarder, serverSpec([target(server.port)])))
    const endpoint = await accepted(server)
    const fate = once(client, 'error')
    client.write('x')
    await once(endpoint, 'data')
    endpoint.destroy()
    client.resume()
    const writing = setInterval(() => client.write('more'), 5)
    await fate
    clearInterval(writing)
    await idle(forwarder)
  })

  it('holds little for a client that does not read', async () => {
    const size = 64 * 2 ** 20
    let written = 0
    const chunk = Buffer.alloc(2 ** 16)
    const server = await running(
      tcpServer((socket) => {
        const write = (): void => {
          while (written < size) {
            written += chunk.length
            if (!socket.write(chunk)) return
          }
          socket.end()
        }
        socket.on('drain', write)
        write()
      }),
    )
    const forwarder = forwarding()
    const client = await tcpClient(await serve(forwarder, serverSpec([target(server.port)])))
    let last = -1
    await until(() => {
      const stalled = last === written && written > 0
      last = written
      return stalled
    }, 'the endpoint stalls')
    await sleep(200)
    // What was read from the endpoint is at the client's kernel, or held here.
    expect(statsOf(forwarder).bytesOut).toBeLessThan(16 * 2 ** 20)
    let read = 0
    client.on('data', (data: Buffer) => {
      read += data.length
    })
    await once(client, 'end')
    expect(read).toBe(size)
    client.end()
    await idle(forwarder)
  })

  it('ends a connection on which nothing is said, not one on which something is', async () => {
    const server = await running(tcpServer((socket) => socket.on('data', () => {})))
    const forwarder = forwarding({ tcpIdleMs: 200 })
    const port = await serve(forwarder, serverSpec([target(server.port)]))
    const [silent, talking] = [await tcpClient(port), await tcpClient(port)]
    const start = performance.now()
    const beats = setInterval(() => talking.write('.'), 50)
    expect(await readAll(silent)).toBe('')
    expect(performance.now() - start).toBeGreaterThan(190)
    expect(performance.now() - start).toBeLessThan(1000)
    await sleep(200)
    expect(forwarder.stats().connections).toBe(1)
    clearInterval(beats)
    expect(await readAll(talking)).toBe('')
    await idle(forwarder)
  })
})

describe('endpoints that refuse', () => {
  it('are passed over, ejected, and taken back', async () => {
    const dead = await unusedPort()
    const alive = await running(namedServer('alive'))
    const forwarder = forwarding({ ejectMs: 300 })
    const events: ForwarderEvent[] = []
    forwarder.onEvent((event) => events.push(event))
    const port = await serve(forwarder, serverSpec([target(dead), target(alive.port)]))
    for (let i = 0; i < 10; i++) expect(await ask(port)).toBe('alive')
    expect(events).toEqual([{ kind: 'ejected', server: 'server', ip: '127.0.0.1', port: dead, forMs: 300 }])
    expect(statsOf(forwarder).endpoints[0]).toMatchObject({ failed: 3, total: 0, active: 0 })
    expect(statsOf(forwarder).endpoints[0]?.ejectedMs).toBeGreaterThan(0)
    const back = await tcpServer((socket) => void socket.end('back'), { port: dead })
    afterwards(back.close)
    await sleep(350)
    const answers = new Set<string>()
    for (let i = 0; i < 6; i++) answers.add(await ask(port))
    expect([...answers].sort()).toEqual(['alive', 'back'])
    expect(events.at(-1)).toEqual({ kind: 'recovered', server: 'server', ip: '127.0.0.1', port: dead })
    expect(statsOf(forwarder).endpoints[0]?.ejectedMs).toBeUndefined()
  })

  it('are tried so many at most, never one twice, and then the client is reset', async () => {
    const targets = await Promise.all(Array.from({ length: 4 }, async () => target(await unusedPort())))
    const forwarder = forwarding({ attempts: 3 })
    const port = await serve(forwarder, serverSpec(targets))
    expect(await fateOf(port)).toBe('ECONNRESET')
    await idle(forwarder)
    const { failed, total, endpoints } = statsOf(forwarder)
    expect({ failed, total }).toEqual({ failed: 1, total: 0 })
    expect(endpoints.map((endpoint) => endpoint.failed)).toEqual([1, 1, 1, 0])
    expect(endpoints.every(({ active, inactive }) => active + inactive === 0)).toBe(true)
  })

  it('lose nothing that the client has said meanwhile', async () => {
    const dead = await unusedPort()
    const echo = await running(echoServer())
    const client = await tcpClient(await serve(forwarding(), serverSpec([target(dead), target(echo.port)])))
    const answer = readAll(client)
    client.end('said at once')
    expect(await answer).toBe('said at once')
  })
})

describe('choosing', () => {
  it('gives the next connection to the endpoint with the fewest', async () => {
    const servers = [await running(tcpServer()), await running(tcpServer())]
    const forwarder = forwarding()
    const port = await serve(
      forwarder,
      serverSpec(
        servers.map((server) => target(server.port)),
        { scheduler: 'lc' },
      ),
    )
    const clients = [await tcpClient(port), await tcpClient(port), await tcpClient(port), await tcpClient(port)]
    await until(() => servers.every(({ connections }) => connections.length === 2), 'two each')
    for (const socket of servers[0]?.connections ?? []) socket.resetAndDestroy()
    await until(() => statsOf(forwarder).active === 2, 'two are gone')
    clients.push(await tcpClient(port), await tcpClient(port))
    await until(() => servers[0]?.connections.length === 4, 'they are replaced there')
    expect(servers[1]?.connections).toHaveLength(2)
    for (const client of clients) client.destroy()
  })

  it('keeps a client at its endpoint', async () => {
    const names = ['a', 'b', 'c']
    const servers = await Promise.all(names.map((name) => running(namedServer(name))))
    const port = await serve(
      forwarding(),
      serverSpec(
        servers.map((server) => target(server.port)),
        { affinitySeconds: 60 },
      ),
    )
    const answersOf = async (from: string) => [await ask(port, { from }), await ask(port, { from })]
    expect(await answersOf('127.0.0.2')).toEqual(['a', 'a'])
    expect(await answersOf('127.0.0.3')).toEqual(['b', 'b'])
    expect(await answersOf('127.0.0.2')).toEqual(['a', 'a'])
  })

  it('sends near clients elsewhere, as the listener says', async () => {
    const [near, far] = [await running(namedServer('near')), await running(namedServer('far'))]
    const forwarder = forwarding()
    const states = await forwarder.apply(
      changeOf(
        [serverSpec([target(far.port)]), serverSpec([target(near.port)], { id: 'inside' })],
        [listenerSpec({ near: { clients: [ip('127.0.0.5')], server: 'inside' } })],
      ),
      never,
    )
    expect(await ask(portOf(states), { from: '127.0.0.5' })).toBe('near')
    expect(await ask(portOf(states), { from: '127.0.0.6' })).toBe('far')
  })
})

describe('PROXY protocol', () => {
  const heardBy = async (server: TestServer) => {
    const endpoint = await accepted(server)
    const chunks: Buffer[] = []
    endpoint.on('data', (chunk: Buffer) => chunks.push(chunk))
    await once(endpoint, 'end')
    return parseProxyHeader(Buffer.concat(chunks))
  }

  it('tells the endpoint who asks whom, before anything else', async () => {
    const server = await running(tcpServer())
    const forwarder = forwarding()
    const port = await serve(forwarder, serverSpec([target(server.port)], { proxyProtocol: true }))
    const client = await tcpClient(port, { from: '127.0.0.9' })
    client.end('hello')
    expect(await heardBy(server)).toEqual({
      command: 'PROXY',
      source: '127.0.0.9',
      sourcePort: client.localPort,
      destination: '127.0.0.1',
      destinationPort: port,
      rest: 'hello',
    })
    expect(statsOf(forwarder).bytesIn).toBe(5)
  })

  it('names the frontend that the listener stands for, over IPv6 too', async () => {
    const server = await running(tcpServer())
    const port = await serve(forwarding(), serverSpec([target(server.port)], { proxyProtocol: true }), {
      address: ip('::1'),
      frontend: { ip: ip('2001:db8::80'), port: 80 },
    })
    const client = await tcpClient(port, { host: '::1' })
    client.end('hello')
    expect(await heardBy(server)).toMatchObject({
      source: '0:0:0:0:0:0:0:1',
      destination: '2001:db8:0:0:0:0:0:80',
      destinationPort: 80,
    })
  })
})

describe('limits', () => {
  it.each(['server', 'process'] as const)('resets what is beyond that of the %s, and counts it', async (whose) => {
    const server = await running(tcpServer())
    const forwarder = forwarding({ maxConnections: whose === 'process' ? 2 : undefined })
    const maxConnections = whose === 'server' ? 2 : undefined
    const port = await serve(forwarder, serverSpec([target(server.port)], { maxConnections }))
    const [one] = [await tcpClient(port), await tcpClient(port)]
    await until(() => server.connections.length === 2, 'two are there')
    expect(await fateOf(port)).toBe('ECONNRESET')
    expect(statsOf(forwarder)).toMatchObject({ limited: 1, total: 2 })
    one.resetAndDestroy()
    await until(() => forwarder.stats().connections === 1, 'there is room')
    await tcpClient(port)
    await until(() => server.connections.length === 3, 'the next one is let in')
  })
})

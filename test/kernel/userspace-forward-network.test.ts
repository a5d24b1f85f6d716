/** What loopback alone cannot show of the forwarding engine: endpoints that swallow packets, and translated destinations. */
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import t from 'tap'
import { createForwarder } from '../../src/backends/userspace/forward/create-forwarder.ts'
import {
  ask,
  askUdp,
  ip,
  namedServer,
  readAll,
  serve,
  serverSpec,
  statsOf,
  target,
  tcpClient,
  tcpServer,
  udpServer,
  until,
} from '../support/forwarding.ts'
import { ownNamespace } from '../support/namespace.ts'
import { parseProxyHeader } from '../support/proxy-header.ts'

ownNamespace(import.meta.url)

const run = (program: string, ...args: readonly string[]): void => void execFileSync(program, args)

// A device that swallows everything, with networks behind it: what goes in is for a hardware address that nobody has.
run('ip', 'link', 'add', 'void0', 'type', 'veth', 'peer', 'name', 'void1')
run('ip', 'link', 'set', 'void0', 'up')
run('ip', 'link', 'set', 'void1', 'up')
run('ip', 'address', 'add', '192.0.2.254/24', 'dev', 'void0')
run('ip', '-6', 'address', 'add', '2001:db8::fe/64', 'dev', 'void0', 'nodad')
for (const address of ['192.0.2.1', '192.0.2.2'])
  run('ip', 'neighbour', 'add', address, 'lladdr', '02:00:00:00:00:01', 'dev', 'void0', 'nud', 'permanent')

t.test('an endpoint that does not answer is given up after the connect timeout', async (t) => {
  const alive = await namedServer('alive')
  const forwarder = createForwarder({ connectTimeoutMs: 200 })
  t.teardown(async () => {
    await forwarder.close(0)
    await alive.close()
  })
  const port = await serve(forwarder, serverSpec([target(80, 1, '192.0.2.1'), target(alive.port)]))
  const start = performance.now()
  t.equal(await ask(port), 'alive')
  const took = performance.now() - start
  t.ok(took > 190 && took < 1500, `${Math.round(took)} ms`)
  t.match(statsOf(forwarder).endpoints, [{ failed: 1, active: 0 }, { total: 1 }])
})

t.test('an attempt counts as a connection, so that least connection does not pile up on a dead endpoint', async (t) => {
  const forwarder = createForwarder({ connectTimeoutMs: 2000 })
  t.teardown(() => forwarder.close(0))
  const port = await serve(
    forwarder,
    serverSpec([target(80, 1, '192.0.2.1'), target(80, 1, '192.0.2.2')], { scheduler: 'lc' }),
  )
  const clients = [await tcpClient(port), await tcpClient(port), await tcpClient(port), await tcpClient(port)]
  await until(() => statsOf(forwarder).active === 4, 'four are under way')
  t.match(statsOf(forwarder).endpoints, [{ active: 2 }, { active: 2 }])
  for (const client of clients) client.destroy()
})

t.test('an unreachable endpoint is passed over', async (t) => {
  run('ip', 'route', 'add', 'unreachable', '198.51.100.0/24')
  const alive = await namedServer('alive')
  const forwarder = createForwarder()
  t.teardown(async () => {
    await forwarder.close(0)
    await alive.close()
  })
  const port = await serve(forwarder, serverSpec([target(80, 1, '198.51.100.1'), target(alive.port)]))
  t.equal(await ask(port), 'alive')
  t.match(statsOf(forwarder).endpoints, [{ failed: 1 }, {}])
})

t.test('a UDP session whose endpoint is unreachable moves on with the next datagram', async (t) => {
  const alive = await udpServer('alive')
  const client = await udpServer()
  const forwarder = createForwarder()
  t.teardown(async () => {
    await forwarder.close(0)
    alive.close()
    client.close()
  })
  const spec = serverSpec([target(53, 1, '198.51.100.1'), target(alive.port)], { protocol: 'UDP' })
  const port = await serve(forwarder, spec)
  client.socket.send('lost', port, '127.0.0.1')
  await until(() => statsOf(forwarder).endpoints[0]?.failed === 1, 'it fails')
  t.equal(await askUdp(client, port, 'x'), 'alive:x')
  t.match(statsOf(forwarder), { total: 1, inactive: 1, endpoints: [{ inactive: 0 }, { inactive: 1 }] })
})

for (const [family, vip, address] of [
  ['ip', '203.0.113.80', '127.0.0.1'],
  ['ip6', '2001:db8:1::80', '::1'],
] as const)
  t.test(`PROXY protocol names what a redirected client asked for: ${family}`, async (t) => {
    const v6 = family === 'ip6'
    const server = await tcpServer(() => {}, { host: address })
    const forwarder = createForwarder()
    t.teardown(async () => {
      await forwarder.close(0)
      await server.close()
    })
    run('ip', 'route', 'replace', v6 ? '2001:db8:1::/64' : '203.0.113.0/24', 'dev', 'void0')
    const spec = serverSpec([target(server.port, 1, address)], { proxyProtocol: true })
    const port = await serve(forwarder, spec, { address: ip(v6 ? '::' : '0.0.0.0'), redirected: true })
    run(
      'nft',
      `table ${family} redirects { chain output { type nat hook output priority -100; ${family} daddr ${vip} tcp dport 80 redirect to :${port}; }; }`,
    )
    const heard = async (index: number) => {
      await until(() => server.connections.length > index, 'it is forwarded')
      const socket = server.connections[index]
      if (socket === undefined) throw new Error('no connection')
      const chunks: Buffer[] = []
      socket.on('data', (chunk: Buffer) => chunks.push(chunk))
      await once(socket, 'end')
      return parseProxyHeader(Buffer.concat(chunks))
    }
    const asked = async (host: string, at: number, index: number) => {
      const client = connect({ host, port: at })
      await once(client, 'connect')
      client.end('hello')
      const header = await heard(index)
      server.connections[index]?.end()
      await readAll(client)
      return header
    }
    const long = v6 ? '2001:db8:1:0:0:0:0:80' : vip
    t.match(await asked(vip, 80, 0), { destination: long, destinationPort: 80, rest: 'hello' }, 'redirected')
    t.match(
      await asked(address, port, 1),
      { destination: v6 ? '0:0:0:0:0:0:0:1' : address, destinationPort: port },
      'and one that came straight',
    )
  })

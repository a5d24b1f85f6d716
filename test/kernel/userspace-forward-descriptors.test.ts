/** What the forwarding engine does when descriptors run out, and how much memory connections take. */
import type { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { tcpClient, tcpServer, until } from '../support/forwarding.ts'
import { ForwardingChild } from '../support/forwarding-child.ts'
import { ownNamespace } from '../support/namespace.ts'

ownNamespace(import.meta.url)

const limit = 120
const clients = 100

const echo = await tcpServer((socket) => void socket.pipe(socket))
t.teardown(() => echo.close())

/** Clients that have said something and wait for the echo. */
const open = async (port: number): Promise<{ readonly all: Socket[]; readonly served: Set<Socket> }> => {
  const served = new Set<Socket>()
  const all = await Promise.all(Array.from({ length: clients }, () => tcpClient(port)))
  for (const socket of all) {
    socket.on('data', () => served.add(socket))
    socket.write('hello')
  }
  return { all, served }
}

t.test('descriptors that run out hold connections up, and lose none', async (t) => {
  const child = await ForwardingChild.start({ endpoint: echo.port, options: {} }, limit)
  t.teardown(() => child.end())
  const { all, served } = await open(child.port)
  await sleep(500)
  const first = served.size
  t.ok(first > 10 && first <= limit / 2, `${first} of ${clients} are served with ${limit} descriptors`)
  const before = await child.facts()
  t.equal(before.stats.pausedThreads, 1, 'accepting is paused')
  await sleep(1000)
  const after = await child.facts()
  t.equal(served.size, first, 'the others wait')
  t.ok(after.cpuMs - before.cpuMs < 200, `waiting takes ${Math.round(after.cpuMs - before.cpuMs)} ms of a second`)
  t.same(after.events, ['accept-paused'], 'it is told once')

  for (const socket of all) socket.on('data', () => socket.end())
  for (const socket of served) socket.end()
  await until(() => served.size === clients, 'all are served', 10_000)
  t.pass('each one is served when others have gone')
  await sleep(300)
  const { stats } = await child.facts()
  t.match(stats, { pausedThreads: 0, connections: 0 })
  t.match(stats.servers, [{ total: clients, failed: 0, limited: 0 }])
  t.ok(stats.pauses >= 1 && stats.pauses < 50, `it paused ${stats.pauses} times`)
})

t.test('descriptors that somebody else took are survived', async (t) => {
  const child = await ForwardingChild.start({ endpoint: echo.port, options: {} }, limit)
  t.teardown(() => child.end())
  const [first] = [await tcpClient(child.port)]
  first.write('x')
  await until(() => first.bytesRead === 1, 'the first is served')
  await child.hog(limit)
  const more = await Promise.all(Array.from({ length: 10 }, () => tcpClient(child.port).catch(() => undefined)))
  const before = await child.facts()
  await sleep(1000)
  const after = await child.facts()
  t.ok(child.alive, 'it lives')
  t.ok(after.stats.connections <= 11, 'nothing is left over')
  t.ok(after.cpuMs - before.cpuMs < 300, `and does not spin: ${Math.round(after.cpuMs - before.cpuMs)} ms of a second`)
  first.write('y')
  await until(() => first.bytesRead === 2, 'the first is still served')
  await child.hog(0)
  await sleep(300)
  const last = await tcpClient(child.port)
  last.write('x')
  await until(() => last.bytesRead === 1, 'new ones are served again')
  for (const socket of [first, last, ...more]) socket?.destroy()
})

t.test('an endpoint that gets no descriptor is not to blame: accepting pauses until there are some', async (t) => {
  const child = await ForwardingChild.start({ endpoint: echo.port, options: {} }, limit)
  t.teardown(() => child.end())
  await child.hog(limit, 1)
  const victim = await tcpClient(child.port).catch(() => undefined)
  await sleep(200)
  const waiting = await Promise.all(Array.from({ length: 10 }, () => tcpClient(child.port)))
  for (const socket of waiting) socket.write('x')
  const before = await child.facts()
  await sleep(1000)
  const after = await child.facts()
  t.match(after.stats, { pausedThreads: 1, pauses: 1 }, 'one pause, as long as it takes')
  t.match(after.stats.servers, [{ total: 0, failed: 1, endpoints: [{ failed: 0, ejectedMs: undefined }] }])
  t.ok(after.cpuMs - before.cpuMs < 200, `${Math.round(after.cpuMs - before.cpuMs)} ms of processor time in a second`)
  await child.hog(0)
  await until(() => waiting.every(({ bytesRead }) => bytesRead === 1), 'those who waited are served')
  t.pass('those who waited are served')
  for (const socket of [victim, ...waiting]) socket?.destroy()
})

t.test('a client that does not read costs no more than a few buffers', async (t) => {
  const size = 64 * 2 ** 20
  let sent = 0
  const chunk = Buffer.alloc(2 ** 16)
  const source = await tcpServer((socket) => {
    const write = (): void => {
      while (sent < size) {
        sent += chunk.length
        if (!socket.write(chunk)) return
      }
    }
    socket.on('drain', write)
    write()
  })
  t.teardown(() => source.close())
  const child = await ForwardingChild.start({ endpoint: source.port, options: {} })
  t.teardown(() => child.end())
  const before = await child.facts()
  const client = await tcpClient(child.port)
  let last = -1
  await until(() => {
    const stalled = sent === last && sent > 0
    last = sent
    return stalled
  }, 'the source stalls')
  await sleep(500)
  const after = await child.facts()
  t.ok(sent < size, `${sent >> 20} of 64 MiB have left the source`)
  const grown = after.rssMiB - before.rssMiB
  t.ok(grown < 24, `the process has grown by ${grown.toFixed(1)} MiB`)
  client.destroy()
})

t.test('idle connections are small', async (t) => {
  const quiet = await tcpServer()
  t.teardown(() => quiet.close())
  const child = await ForwardingChild.start({ endpoint: quiet.port, options: {} })
  t.teardown(() => child.end())
  const count = 1000
  const before = await child.facts()
  const all: Socket[] = []
  for (let i = 0; i < count; i += 100)
    all.push(...(await Promise.all(Array.from({ length: 100 }, () => tcpClient(child.port)))))
  await until(() => quiet.connections.length === count, 'all are there')
  const after = await child.facts()
  const each = ((after.rssMiB - before.rssMiB) * 1024) / count
  t.ok(each < 24, `${each.toFixed(1)} KiB each`)
  for (const socket of [...all, ...quiet.connections]) socket.destroy()
  await sleep(300)
  t.match((await child.facts()).stats, { connections: 0 })
})

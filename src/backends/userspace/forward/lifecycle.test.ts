import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import {
  ask,
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
  until,
} from '../../../../test/support/forwarding.ts'
import { accepted, forwarding, running } from '../../../../test/support/forwarding-fixture.ts'
import { createForwarder } from './create-forwarder.ts'
import type { ListenerState } from './forwarder.ts'

describe('changes', () => {
  it('let connections of a removed endpoint go on', async () => {
    const [old, fresh] = [await running(tcpServer()), await running(namedServer('fresh'))]
    const forwarder = forwarding()
    const port = await serve(forwarder, serverSpec([target(old.port)]))
    const client = await tcpClient(port)
    const endpoint = await accepted(old)
    await serve(forwarder, serverSpec([target(fresh.port)]), { port })
    expect(await ask(port)).toBe('fresh')
    expect(statsOf(forwarder).endpoints).toMatchObject([
      { port: fresh.port, draining: false },
      { port: old.port, draining: true, active: 1 },
    ])
    const answer = readAll(client)
    endpoint.end('still here')
    expect(await answer).toBe('still here')
    client.end()
    await until(() => statsOf(forwarder).endpoints.length === 1, 'it is forgotten')
  })

  it('end them after the time they have to drain', async () => {
    const old = await running(tcpServer())
    const forwarder = forwarding({ drainMs: 100 })
    const client = await tcpClient(await serve(forwarder, serverSpec([target(old.port)])))
    await accepted(old)
    const start = performance.now()
    await forwarder.apply({ servers: new Map([['server', undefined]]), listeners: new Map() }, never)
    expect(await readAll(client)).toBe('ECONNRESET')
    expect(performance.now() - start).toBeGreaterThan(95)
  })

  it('keep the socket of a listener that goes to another server', async () => {
    const [one, other] = [await running(namedServer('one')), await running(namedServer('other'))]
    const forwarder = forwarding()
    const servers = [serverSpec([target(one.port)], { id: 'one' }), serverSpec([target(other.port)], { id: 'other' })]
    const port = portOf(await forwarder.apply(changeOf(servers, [listenerSpec({ server: 'one' })]), never))
    expect(await ask(port)).toBe('one')
    const states = await forwarder.apply(changeOf([], [listenerSpec({ server: 'other' })]), never)
    expect(portOf(states)).toBe(port)
    expect(await ask(port)).toBe('other')
  })

  it('refuse connections where a listener was', async () => {
    const server = await running(namedServer('x'))
    const forwarder = forwarding()
    const port = await serve(forwarder, serverSpec([target(server.port)]))
    await forwarder.apply({ servers: new Map(), listeners: new Map([['listener', undefined]]) }, never)
    await expect(tcpClient(port)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    expect(forwarder.stats().listeners).toEqual([])
  })
})

describe('a port that is taken', () => {
  it('is reported, the others work, and it is taken up once it is free', async () => {
    const holder = await running(tcpServer())
    const server = await running(namedServer('served'))
    const forwarder = forwarding({ retryMs: 50 })
    const reports: ListenerState[] = []
    forwarder.onListener((state) => reports.push(state))
    const states = await forwarder.apply(
      changeOf(
        [serverSpec([target(server.port)])],
        [listenerSpec({ id: 'taken', port: holder.port }), listenerSpec({ id: 'free' })],
      ),
      never,
    )
    expect(states[0]).toMatchObject({ id: 'taken', port: undefined, error: { code: 'address-in-use' } })
    expect(await ask(portOf(states, 'free'))).toBe('served')
    await sleep(150)
    expect(reports).toEqual([])
    await holder.close()
    await until(() => reports.length > 0, 'it is taken up')
    expect(reports).toEqual([{ id: 'taken', port: holder.port, error: undefined }])
    expect(await ask(holder.port)).toBe('served')
  })

  it('is one that cannot be had', async () => {
    const forwarder = forwarding()
    const [state] = await forwarder.apply(
      changeOf([serverSpec([])], [listenerSpec({ address: ip('192.0.2.77') })]),
      never,
    )
    expect(state).toMatchObject({ port: undefined, error: { code: 'no-such-address' } })
  })
})

describe('close', () => {
  it('waits for connections, and takes no new ones', async () => {
    const server = await running(tcpServer())
    const forwarder = createForwarder()
    const port = await serve(forwarder, serverSpec([target(server.port)]))
    const client = await tcpClient(port)
    const endpoint = await accepted(server)
    const closing = forwarder.close(5000)
    await sleep(50)
    await expect(tcpClient(port)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    const answer = readAll(client)
    endpoint.end('last words')
    expect(await answer).toBe('last words')
    client.end()
    const start = performance.now()
    await closing
    expect(performance.now() - start).toBeLessThan(1000)
  })

  it('resets what is left when the time is over', async () => {
    const server = await running(tcpServer())
    const forwarder = createForwarder()
    const client = await tcpClient(await serve(forwarder, serverSpec([target(server.port)])))
    await accepted(server)
    const fate = readAll(client)
    const start = performance.now()
    await forwarder.close(100)
    expect(performance.now() - start).toBeGreaterThan(95)
    expect(await fate).toBe('ECONNRESET')
    await expect(forwarder.apply(changeOf([]), never)).rejects.toMatchObject({ code: 'closed' })
  })
})

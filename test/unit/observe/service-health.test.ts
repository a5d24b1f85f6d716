import { readdirSync } from 'node:fs'
import { afterEach, describe, expect, test } from 'vitest'
import type { NodePortAddresses } from '../../../src/model/host.ts'
import { type Family, type IP, parseIP } from '../../../src/model/ip.ts'
import { objectName } from '../../../src/model/problem.ts'
import { ServiceHealthServers } from '../../../src/observe/health/service-health.ts'
import { applied, healthCheck, healthChecks } from './support/events.ts'
import { FakeClock } from './support/fake-clock.ts'
import { ask, freePort, occupy, silentClient } from './support/http.ts'

const some = (...texts: readonly string[]): NodePortAddresses => ({
  kind: 'some',
  addresses: texts.map((text): IP => {
    const ip = parseIP(text)
    if (ip === undefined) throw new RangeError(text)
    return ip
  }),
})

interface Scene {
  readonly servers: ServiceHealthServers
  readonly problems: string[]
  readonly clock: FakeClock
  healthy: boolean
}

const open: Scene[] = []

const setUp = (addresses: NodePortAddresses, retryMs = 3_600_000): Scene => {
  const problems: string[] = []
  const clock = new FakeClock('2024-03-01T12:00:00Z')
  const servers = new ServiceHealthServers({
    clock,
    addresses: { IPv4: addresses, IPv6: addresses },
    isProxyHealthy: () => scene.healthy,
    problem: ({ problem, source }) =>
      problems.push(`${source}: ${objectName(problem.object)} ${problem.field}: ${problem.reason}`),
    onError: (cause) => problems.push(`error: ${String(cause)}`),
    retryMs,
  })
  const scene: Scene = { servers, problems, clock, healthy: true }
  open.push(scene)
  return scene
}

afterEach(async () => {
  await Promise.all(open.splice(0).map(({ servers }) => servers.close()))
})

/** Sockets, that is; the count is only compared with itself. */
const openFiles = (): number => readdirSync('/proc/self/fd').length

const openOne = async (scene: Scene, family: Family, port: number, localEndpoints: number): Promise<void> => {
  scene.servers.healthChecks(healthChecks(family, { web: healthCheck('web', port, localEndpoints) }))
  await scene.servers.settled()
}

describe('one port', () => {
  test('with local endpoints and a healthy proxy is 200, with the exact body and headers', async () => {
    const scene = setUp(some('127.0.0.1', '::1'))
    const port = await freePort('127.0.0.1')
    await openOne(scene, 'IPv4', port, 3)
    const answer = await ask({ port, path: '/any/path?x=1', method: 'POST', payload: 'ignored' })
    expect(answer.status).toBe(200)
    expect(answer.body).toBe(
      '{\n\t"service": {\n\t\t"namespace": "default",\n\t\t"name": "web"\n\t},\n' +
        '\t"localEndpoints": 3,\n\t"serviceProxyHealthy": true\n}',
    )
    expect(answer.headers).toMatchObject({
      'content-type': 'application/json',
      'x-content-type-options': 'nosniff',
      'x-load-balancing-endpoint-weight': '3',
    })
  })

  test('follows the endpoints and the proxy without being reopened', async () => {
    const scene = setUp(some('127.0.0.1'))
    const port = await freePort('127.0.0.1')
    await openOne(scene, 'IPv4', port, 1)
    expect((await ask({ port })).status).toBe(200)
    scene.healthy = false
    const sick = await ask({ port })
    expect(sick.status).toBe(503)
    expect(sick.body).toContain('"localEndpoints": 1,\n\t"serviceProxyHealthy": false')
    expect(sick.headers['x-load-balancing-endpoint-weight']).toBe('1')
    scene.healthy = true
    scene.servers.healthChecks(healthChecks('IPv4', { web: healthCheck('web', port, 0) }))
    const empty = await ask({ port })
    expect(empty.status).toBe(503)
    expect(empty.body).toContain('"localEndpoints": 0,\n\t"serviceProxyHealthy": true')
    expect(empty.headers['x-load-balancing-endpoint-weight']).toBe('0')
  })

  test('moves when the Service asks for another', async () => {
    const scene = setUp(some('127.0.0.1'))
    const [old, next] = [await freePort('127.0.0.1'), await freePort('127.0.0.1')]
    await openOne(scene, 'IPv4', old, 1)
    await openOne(scene, 'IPv4', next, 1)
    await expect(ask({ port: old })).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    expect((await ask({ port: next })).status).toBe(200)
  })

  test('closes with the Service, and cuts the clients it had', async () => {
    const scene = setUp(some('127.0.0.1'))
    const port = await freePort('127.0.0.1')
    await openOne(scene, 'IPv4', port, 1)
    const { ended } = await silentClient(port, '127.0.0.1')
    scene.servers.healthChecks(healthChecks('IPv4', { web: undefined }))
    await scene.servers.settled()
    await ended
    expect(scene.servers.open).toEqual({ IPv4: 0, IPv6: 0 })
    await expect(ask({ port })).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  })

  test('passes from one Service to another within one event', async () => {
    const scene = setUp(some('127.0.0.1'))
    const port = await freePort('127.0.0.1')
    await openOne(scene, 'IPv4', port, 1)
    scene.servers.healthChecks(healthChecks('IPv4', { api: healthCheck('api', port, 2), web: undefined }))
    await scene.servers.settled()
    expect((await ask({ port })).body).toContain('"name": "api"')
    expect(scene.problems).toEqual([])
  })

  test('ends up as the last of many events says, however fast they come', async () => {
    const scene = setUp(some('127.0.0.1'))
    const ports = await Promise.all([freePort('127.0.0.1'), freePort('127.0.0.1')])
    for (let i = 0; i < 50; i++) {
      scene.servers.healthChecks(healthChecks('IPv4', { web: healthCheck('web', ports[i % 2] ?? 0, i) }))
      if (i % 3 === 0) scene.servers.healthChecks(healthChecks('IPv4', { web: undefined }))
    }
    await scene.servers.settled()
    await expect(ask({ port: ports[0] })).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    expect((await ask({ port: ports[1] })).body).toContain('"localEndpoints": 49')
    expect(scene.servers.open).toEqual({ IPv4: 1, IPv6: 0 })
  })
})

describe('families', () => {
  test('share a port on all addresses and answer for themselves', async () => {
    const scene = setUp({ kind: 'all' })
    const port = await freePort('::')
    await openOne(scene, 'IPv4', port, 2)
    await expect(ask({ port, host: '::1' })).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    await openOne(scene, 'IPv6', port, 0)
    expect(await ask({ port, host: '127.0.0.1' })).toMatchObject({ status: 200 })
    expect(await ask({ port, host: '127.9.9.9' })).toMatchObject({ status: 200 })
    expect(await ask({ port, host: '::1' })).toMatchObject({ status: 503 })
    expect(scene.problems).toEqual([])
  })

  test('listen on the selected addresses only', async () => {
    const scene = setUp(some('127.0.0.2', '127.0.0.3', '::1'))
    const port = await freePort('127.0.0.2')
    await openOne(scene, 'IPv4', port, 1)
    expect(await ask({ port, host: '127.0.0.2' })).toMatchObject({ status: 200 })
    expect(await ask({ port, host: '127.0.0.3' })).toMatchObject({ status: 200 })
    await expect(ask({ port, host: '127.0.0.1' })).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    await expect(ask({ port, host: '::1' })).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  })
})

describe('a port that cannot be opened', () => {
  test('on one address closes it on all, is told once, and opens at the next event when it is free', async () => {
    const scene = setUp(some('127.0.0.2', '127.0.0.3'))
    const taken = await occupy(0, '127.0.0.3')
    const { port } = taken
    await openOne(scene, 'IPv4', port, 1)
    await expect(ask({ port, host: '127.0.0.2' })).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    await openOne(scene, 'IPv4', port, 2)
    expect(scene.problems).toEqual([
      `healthCheck: Service default/web spec.healthCheckNodePort: cannot listen 127.0.0.3:${port} (portInUse): ` +
        'health checks fail until it can, and it is tried again',
    ])
    await taken.free()
    const other = await freePort('127.0.0.2')
    scene.servers.healthChecks(healthChecks('IPv4', { other: healthCheck('other', other, 1) }))
    await scene.servers.settled()
    expect(scene.servers.open).toEqual({ IPv4: 2, IPv6: 0 })
    expect(await ask({ port, host: '127.0.0.3' })).toMatchObject({ status: 200 })
    expect(scene.problems).toHaveLength(1)
  })

  test('is tried again with a later sync of its family, but not with each of them', async () => {
    const scene = setUp(some('127.0.0.1'))
    const taken = await occupy(0, '127.0.0.1')
    await openOne(scene, 'IPv4', taken.port, 1)
    await taken.free()
    scene.servers.applied(applied())
    await scene.servers.settled()
    expect(scene.servers.open.IPv4).toBe(0)
    scene.clock.advance(1_000)
    scene.servers.applied(applied({ family: 'IPv6' }))
    await scene.servers.settled()
    expect(scene.servers.open.IPv4).toBe(0)
    scene.servers.applied(applied())
    await scene.servers.settled()
    expect(scene.servers.open.IPv4).toBe(1)
  })

  test('is tried again without any event', async () => {
    const scene = setUp(some('127.0.0.1'), 20)
    const taken = await occupy(0, '127.0.0.1')
    await openOne(scene, 'IPv4', taken.port, 1)
    expect(scene.servers.open.IPv4).toBe(0)
    await taken.free()
    await expect.poll(() => scene.servers.open.IPv4).toBe(1)
  })

  test('is told again when it was open in between', async () => {
    const scene = setUp(some('127.0.0.1'))
    const taken = await occupy(0, '127.0.0.1')
    const free = await freePort('127.0.0.1')
    await openOne(scene, 'IPv4', taken.port, 1)
    await openOne(scene, 'IPv4', free, 1)
    await openOne(scene, 'IPv4', taken.port, 1)
    await taken.free()
    expect(scene.problems).toHaveLength(2)
  })

  test('does not keep others from theirs', async () => {
    const scene = setUp(some('127.0.0.1'))
    const taken = await occupy(0, '127.0.0.1')
    const free = await freePort('127.0.0.1')
    scene.servers.healthChecks(
      healthChecks('IPv4', { first: healthCheck('first', taken.port, 1), second: healthCheck('second', free, 1) }),
    )
    await scene.servers.settled()
    await taken.free()
    expect((await ask({ port: free })).status).toBe(200)
  })
})

describe('many ports', () => {
  /** An address nobody else listens on, so the ports need not be looked for. */
  const address = '127.77.3.9'
  const many = 400

  test('open, answer, and leave nothing behind', async () => {
    const scene = setUp(some(address))
    const names = Array.from({ length: many }, (_, i) => `svc-${i}`)
    const all = names.map((name, i) => [name, healthCheck(name, 20_000 + i, i)] as const)
    const before = openFiles()
    for (let round = 0; round < 3; round++) {
      scene.servers.healthChecks(healthChecks('IPv4', Object.fromEntries(all)))
      await scene.servers.settled()
      expect(scene.servers.open.IPv4).toBe(many)
      expect(openFiles()).toBeGreaterThanOrEqual(before + many)
      for (const i of [0, 1, many - 1]) {
        const answer = await ask({ port: 20_000 + i, host: address })
        expect(answer.headers['x-load-balancing-endpoint-weight']).toBe(String(i))
      }
      scene.servers.healthChecks(healthChecks('IPv4', Object.fromEntries(names.map((name) => [name, undefined]))))
      await scene.servers.settled()
      expect(scene.servers.open.IPv4).toBe(0)
      await expect.poll(openFiles).toBeLessThanOrEqual(before)
    }
    expect(scene.problems).toEqual([])
  })

  test('end with close(), even while they are being opened', async () => {
    const scene = setUp(some(address))
    const before = openFiles()
    const all = Array.from({ length: many }, (_, i) => [`svc-${i}`, healthCheck(`svc-${i}`, 21_000 + i, 1)] as const)
    scene.servers.healthChecks(healthChecks('IPv4', Object.fromEntries(all)))
    await new Promise((resolve) => setImmediate(resolve))
    await scene.servers.close()
    expect(scene.servers.open.IPv4).toBe(0)
    await expect.poll(openFiles).toBeLessThanOrEqual(before)
    await openOne(scene, 'IPv4', 21_000, 1)
    expect(scene.servers.open.IPv4).toBe(0)
  })
})

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { healthRoutes } from '../../../src/observe/health/health-routes.ts'
import { ProxyHealth } from '../../../src/observe/health/proxy-health.ts'
import { router } from '../../../src/observe/http/reply.ts'
import { type RunningServer, serve } from '../../../src/observe/http/serve.ts'
import { applied, failed } from './support/events.ts'
import { FakeClock } from './support/fake-clock.ts'
import { type Answer, ask } from './support/http.ts'

let clock: FakeClock
let health: ProxyHealth
let server: RunningServer
let counted: string[]

const fail = (cause: unknown): never => {
  throw cause
}

beforeEach(async () => {
  clock = new FakeClock('2024-03-01T12:00:00Z')
  health = new ProxyHealth(clock, 30_000)
  counted = []
  const routes = healthRoutes(health, (path, code) => counted.push(`${path} ${code}`))
  server = await serve(
    { address: '127.0.0.1', port: 0, hardFail: true, onError: fail },
    router(routes, fail),
    new AbortController().signal,
  )
})
afterEach(() => server.close())

const get = (path: string, method = 'GET'): Promise<Answer> => ask({ port: server.port ?? 0, path, method })

describe('before anything happened', () => {
  test('/livez is 200 without a status', async () => {
    expect((await get('/livez')).body).toBe(
      '{"lastUpdated":"2024-03-01T12:00:00Z","currentTime":"2024-03-01T12:00:00Z","healthy":true}',
    )
  })

  test('/healthz is 503 because the node has not been seen; nothing succeeded yet', async () => {
    const answer = await get('/healthz')
    expect(answer.status).toBe(503)
    expect(answer.body).toBe(
      '{"lastUpdated":"0001-01-01T00:00:00Z","currentTime":"2024-03-01T12:00:00Z","nodeEligible":false,"healthy":true}',
    )
  })
})

describe('with both families synced', () => {
  beforeEach(() => {
    // IPv6 first: the order in the answer is the keys', not the events'.
    for (const family of ['IPv6', 'IPv4'] as const) {
      health.loopStarted({ family, at: clock.now() })
      health.queued({ family, at: clock.now() })
      health.started({ family, kind: 'full', at: clock.now() })
      clock.advance(1_250)
      health.applied(applied({ family, kind: 'full', at: clock.now() }))
    }
    health.nodeEligible({ eligible: true, seen: true })
    clock.advance(30_000)
  })

  const families =
    '"status":{"IPv4":{"lastUpdated":"2024-03-01T12:00:02.5Z","healthy":true},' +
    '"IPv6":{"lastUpdated":"2024-03-01T12:00:01.25Z","healthy":true}}'

  test('/healthz is 200 and lastUpdated is now', async () => {
    const answer = await get('/healthz')
    expect(answer.status).toBe(200)
    expect(answer.body).toBe(
      `{"lastUpdated":"2024-03-01T12:00:32.5Z","currentTime":"2024-03-01T12:00:32.5Z","nodeEligible":true,"healthy":true,${families}}`,
    )
  })

  test('the headers are those of kube-proxy', async () => {
    const { headers, body } = await get('/healthz')
    expect(headers).toMatchObject({
      'content-type': 'application/json',
      'x-content-type-options': 'nosniff',
      'content-length': String(body.length),
    })
  })

  test('a node that leaves: /healthz 503 with the last success, /livez 200', async () => {
    health.nodeEligible({ eligible: false, seen: true })
    const healthz = await get('/healthz')
    expect(healthz.status).toBe(503)
    expect(healthz.body).toBe(
      `{"lastUpdated":"2024-03-01T12:00:02.5Z","currentTime":"2024-03-01T12:00:32.5Z","nodeEligible":false,"healthy":true,${families}}`,
    )
    const livez = await get('/livez')
    expect(livez.status).toBe(200)
    expect(livez.body).toBe(
      `{"lastUpdated":"2024-03-01T12:00:32.5Z","currentTime":"2024-03-01T12:00:32.5Z","healthy":true,${families}}`,
    )
  })

  test('a change that waits too long: both 503, and only its family is unhealthy', async () => {
    health.queued({ family: 'IPv6', at: clock.now() })
    health.started({ family: 'IPv6', kind: 'partial', at: clock.now() })
    health.failed(failed({ family: 'IPv6', at: clock.now() }))
    clock.advance(60_000)
    const status =
      '"status":{"IPv4":{"lastUpdated":"2024-03-01T12:00:02.5Z","healthy":true},' +
      '"IPv6":{"lastUpdated":"2024-03-01T12:00:01.25Z","healthy":false}}'
    const times = '"lastUpdated":"2024-03-01T12:00:02.5Z","currentTime":"2024-03-01T12:01:32.5Z"'
    expect(await get('/healthz')).toMatchObject({
      status: 503,
      body: `{${times},"nodeEligible":true,"healthy":false,${status}}`,
    })
    expect(await get('/livez')).toMatchObject({ status: 503, body: `{${times},"healthy":false,${status}}` })
    expect(counted).toEqual(['healthz 503', 'livez 503'])
  })

  test.each(['POST', 'PUT', 'DELETE', 'OPTIONS'])('%s is answered like GET', async (method) => {
    expect((await get('/healthz', method)).body).toBe((await get('/healthz')).body)
  })

  test('HEAD has the headers and no body', async () => {
    const answer = await get('/livez', 'HEAD')
    expect(answer).toMatchObject({ status: 200, body: '' })
    expect(answer.headers['content-length']).toBe(String((await get('/livez')).body.length))
  })

  test('a query string changes nothing', async () => {
    expect((await get('/livez?verbose')).status).toBe(200)
  })

  test.each(['/', '/healthz/', '/healthzz', '/metrics', '/livez/x'])('%s is not found', async (path) => {
    const answer = await get(path)
    expect(answer).toMatchObject({ status: 404, body: '404 page not found\n' })
    expect(counted).toEqual([])
  })
})

import { afterEach, describe, expect, it } from 'vitest'
import { FakeApiServer, type FakeApiServerOptions } from '../../apiserver/fake-api-server.ts'
import { nodeManifest, serviceManifest } from '../../apiserver/manifests.ts'
import { eventually } from './harness.ts'

let cleanups: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup()
  cleanups = []
})

const serve = async (options: FakeApiServerOptions = {}): Promise<FakeApiServer> => {
  const server = await FakeApiServer.start(options)
  cleanups.push(() => server.close())
  return server
}

interface Answer {
  readonly status: number
  readonly text: string
}

const get = async (server: FakeApiServer, path: string, headers: Record<string, string> = {}): Promise<Answer> => {
  const response = await fetch(server.url + path, { headers })
  return { status: response.status, text: await response.text() }
}

const names = ({ text }: Answer): readonly string[] =>
  [...text.matchAll(/"name":"(object-\d+)"/g)].map(([, name = '']) => name)
const field = ({ text }: Answer, name: string): string => new RegExp(`"${name}":"([^"]*)"`).exec(text)?.[1] ?? ''

/** Opens a watch with a client of its own, and keeps what it says. */
const watch = async (
  server: FakeApiServer,
  query: string,
): Promise<{ text: string; done: boolean; failed: boolean }> => {
  const stopper = new AbortController()
  cleanups.push(() => stopper.abort())
  const seen = { text: '', done: false, failed: false }
  const response = await fetch(`${server.url}/api/v1/services?watch=true&${query}`, { signal: stopper.signal })
  const read = async (): Promise<void> => {
    try {
      for await (const chunk of response.body ?? []) seen.text += Buffer.from(chunk).toString()
      seen.done = true
    } catch {
      seen.failed = true
    }
  }
  void read()
  return seen
}

const types = (text: string): readonly string[] =>
  [...text.matchAll(/^\{"type":"(\w+)"/gm)].map(([, type = '']) => type)

const object = (i: number, port = 80): ReturnType<typeof serviceManifest> => serviceManifest(`object-${i}`, port)

describe('objects', () => {
  it('get a uid that stays and a version that grows', async () => {
    const server = await serve()
    const first = server.put('services', object(1)).metadata
    const second = server.put('services', object(1, 81)).metadata
    expect(second.uid).toBe(first.uid)
    expect(Number(second.resourceVersion)).toBeGreaterThan(Number(first.resourceVersion))
    server.delete('services', 'object-1')
    expect(server.put('services', object(1)).metadata.uid).not.toBe(first.uid)
  })
})

describe('a list', () => {
  it('has items without kind, in the order of their keys', async () => {
    const server = await serve()
    for (const i of [3, 1, 2]) server.put('services', object(i))
    const answer = await get(server, '/api/v1/services')
    expect(names(answer)).toEqual(['object-1', 'object-2', 'object-3'])
    expect(answer.text).toMatch(
      /^\{"kind":"ServiceList","apiVersion":"v1","metadata":\{"resourceVersion":"1003"\},"items":\[/,
    )
    expect(answer.text).not.toContain('"kind":"Service"')
  })

  it('comes in pages of one snapshot', async () => {
    const server = await serve()
    for (const i of [1, 2, 3]) server.put('services', object(i))
    const first = await get(server, '/api/v1/services?limit=2')
    server.delete('services', 'object-3')
    const second = await get(server, `/api/v1/services?limit=2&continue=${field(first, 'continue')}`)
    expect([names(first), names(second)]).toEqual([['object-1', 'object-2'], ['object-3']])
    expect(field(second, 'resourceVersion')).toBe(field(first, 'resourceVersion'))
    expect(field(second, 'continue')).toBe('')
  })

  it('expires page by page', async () => {
    const server = await serve()
    for (const i of [1, 2, 3]) server.put('services', object(i))
    const first = await get(server, '/api/v1/services?limit=2')
    server.expireHistory()
    const second = await get(server, `/api/v1/services?limit=2&continue=${field(first, 'continue')}`)
    expect(second).toMatchObject({ status: 410, text: expect.stringContaining('"reason":"Expired"') })
  })

  it('ignores the limit when it may come from the cache, if told so', async () => {
    for (const cacheIgnoresLimit of [true, false]) {
      const server = await serve({ cacheIgnoresLimit })
      for (const i of [1, 2, 3]) server.put('services', object(i))
      const answer = await get(server, '/api/v1/services?limit=2&resourceVersion=0')
      expect(names(answer)).toHaveLength(cacheIgnoresLimit ? 3 : 2)
    }
  })

  it.each([
    ['resourceVersion=1001&resourceVersionMatch=NotOlderThan', 200],
    ['resourceVersion=1002&resourceVersionMatch=NotOlderThan', 200],
    ['resourceVersion=1003&resourceVersionMatch=NotOlderThan', 504],
    ['resourceVersion=1002&resourceVersionMatch=Exact', 200],
    ['resourceVersion=1001&resourceVersionMatch=Exact', 410],
    ['resourceVersion=1001&limit=5', 410],
    ['resourceVersion=0&resourceVersionMatch=Exact', 400],
    ['resourceVersionMatch=NotOlderThan', 400],
    ['continue=x&resourceVersion=0', 400],
  ])('with %s is answered with %i', async (query, status) => {
    const server = await serve()
    for (const i of [1, 2]) server.put('services', object(i))
    expect(await get(server, `/api/v1/services?${query}`)).toMatchObject({ status })
  })

  it('comes from a cache that lags, unless the latest is asked for', async () => {
    const server = await serve()
    server.put('services', object(1))
    server.freezeCache()
    server.put('services', object(2))
    expect(names(await get(server, '/api/v1/services?resourceVersion=0'))).toEqual(['object-1'])
    expect(names(await get(server, '/api/v1/services'))).toEqual(['object-1', 'object-2'])
    server.thawCache()
    expect(names(await get(server, '/api/v1/services?resourceVersion=0'))).toEqual(['object-1', 'object-2'])
  })

  it.each([
    ['labelSelector=!app', [2]],
    ['labelSelector=app', [1, 3]],
    ['labelSelector=app%3Dweb', [1]],
    ['labelSelector=app!%3Dweb', [2, 3]],
    ['labelSelector=app,!tier', [1]],
    ['fieldSelector=metadata.name%3Dobject-2', [2]],
    ['fieldSelector=spec.clusterIP!%3DNone', [1, 2]],
  ])('with %s has the objects that match', async (query, expected) => {
    const server = await serve()
    const labelled = (i: number, labels: Record<string, string>, clusterIP: string): void => {
      server.put('services', { metadata: { name: `object-${i}`, labels }, spec: { clusterIP } })
    }
    labelled(1, { app: 'web' }, '10.0.0.1')
    labelled(2, {}, '10.0.0.2')
    labelled(3, { app: 'db', tier: 'back' }, 'None')
    expect(names(await get(server, `/api/v1/services?${query}`))).toEqual(expected.map((i) => `object-${i}`))
  })
})

describe('a watch', () => {
  it('tells what came after its version, and what comes', async () => {
    const server = await serve()
    const { resourceVersion } = server.put('services', object(1)).metadata
    server.put('services', object(1, 81))
    const seen = await watch(server, `resourceVersion=${resourceVersion}`)
    server.put('services', object(2))
    server.put('nodes', nodeManifest('object-9', 'a'))
    server.delete('services', 'object-1')
    await eventually(() => expect(types(seen.text)).toEqual(['MODIFIED', 'ADDED', 'DELETED']))
    expect(seen.text).toContain('"kind":"Service"')
    expect(seen.text).toContain(`"resourceVersion":"${server.version}"`)
  })

  it('tells a selection when objects enter and leave it', async () => {
    const server = await serve()
    const seen = await watch(server, `resourceVersion=${server.version}&labelSelector=app`)
    const put = (labels: Record<string, string>): void =>
      void server.put('services', { metadata: { name: 'object-1', labels } })
    put({})
    put({ app: 'web' })
    put({ app: 'db' })
    put({})
    put({})
    await eventually(() => expect(types(seen.text)).toEqual(['ADDED', 'MODIFIED', 'DELETED']))
  })

  it.each([
    ['event', 200, ['ERROR']],
    ['status', 410, []],
  ] as const)('from before the history is refused (%s)', async (expiredAs, status, expected) => {
    const server = await serve({ expiredAs, historyLimit: 2 })
    const from = server.version
    for (const i of [1, 2, 3]) server.put('services', object(i))
    const answer = await get(server, `/api/v1/services?watch=true&resourceVersion=${from}`)
    expect(answer).toMatchObject({ status, text: expect.stringContaining('"code":410') })
    expect(types(answer.text)).toEqual(expected)
    const seen = await watch(server, `resourceVersion=${from + 1}`)
    await eventually(() => expect(types(seen.text)).toEqual(['ADDED', 'ADDED']))
  })

  it('ends after timeoutSeconds', async () => {
    const server = await serve()
    const seen = await watch(server, `resourceVersion=${server.version}&timeoutSeconds=1`)
    expect(seen.done).toBe(false)
    await eventually(() => expect(seen.done).toBe(true), 1500)
  })

  it('gives bookmarks to those who want them', async () => {
    const server = await serve()
    const one = await watch(server, `resourceVersion=${server.version}&allowWatchBookmarks=true`)
    const other = await watch(server, `resourceVersion=${server.version}`)
    server.advance()
    server.bookmark('services')
    server.put('services', object(1))
    await eventually(() => expect(types(one.text)).toEqual(['BOOKMARK', 'ADDED']))
    await eventually(() => expect(types(other.text)).toEqual(['ADDED']))
    expect(one.text).toContain('"metadata":{"resourceVersion":"1001"')
  })

  it('can be closed, dropped, stalled, expired and spoilt', async () => {
    const server = await serve()
    const open = (): Promise<{ text: string; done: boolean; failed: boolean }> =>
      watch(server, `resourceVersion=${server.version}`)
    const closed = await open()
    server.closeWatches()
    await eventually(() => expect(closed).toMatchObject({ done: true, failed: false }))
    const dropped = await open()
    server.dropWatches()
    await eventually(() => expect(dropped).toMatchObject({ done: false, failed: true }))
    const garbled = await open()
    server.writeGarbage('services')
    await eventually(() => expect(garbled.text).toBe('<html>502 Bad Gateway</html>\n'))
    server.closeWatches()
    const half = await open()
    server.writeHalfLine('close', 'services')
    await eventually(() => expect(half.done).toBe(true))
    expect(half.text).not.toContain('\n')
    const stalled = await open()
    server.stallWatches('services')
    server.put('services', object(1))
    const fresh = await open()
    server.put('services', object(2))
    await eventually(() => expect(types(fresh.text)).toEqual(['ADDED']))
    expect(stalled.text).toBe('')
    expect(server.openWatches('services')).toBe(2)
    server.expireWatches('services')
    await eventually(() => expect(types(fresh.text)).toEqual(['ADDED', 'ERROR']))
    expect(fresh.done).toBe(true)
  })
})

describe('faults', () => {
  it('meet as many requests as they should, of the right kind', async () => {
    const server = await serve()
    server.inject({ kind: 'status', code: 429, retryAfter: 7 }, { resource: 'services', verb: 'list', times: 2 })
    expect(await get(server, '/api/v1/nodes')).toMatchObject({ status: 200 })
    const response = await fetch(`${server.url}/api/v1/services`)
    expect([response.status, response.headers.get('retry-after')]).toEqual([429, '7'])
    expect(await get(server, '/api/v1/services')).toMatchObject({ status: 429 })
    expect(await get(server, '/api/v1/services')).toMatchObject({ status: 200 })
    expect(server.requests('services', 'list')).toHaveLength(3)
  })

  it.each([{ kind: 'drop' }, { kind: 'cut' }] as const)('break connections (%o)', async (fault) => {
    const server = await serve()
    server.put('services', object(1))
    server.inject(fault)
    await expect(get(server, '/api/v1/services')).rejects.toThrow()
    expect(await get(server, '/api/v1/services')).toMatchObject({ status: 200 })
  })

  it('make the answer slow, or none, or no JSON', async () => {
    const server = await serve()
    server.inject({ kind: 'slow', ms: 100 })
    const startedAt = Date.now()
    expect(await get(server, '/api/v1/services')).toMatchObject({ status: 200 })
    expect(Date.now() - startedAt).toBeGreaterThanOrEqual(95)
    server.inject({ kind: 'html' })
    expect(await get(server, '/api/v1/services')).toMatchObject({
      status: 200,
      text: expect.stringContaining('<html>'),
    })
    server.inject({ kind: 'silence' })
    await expect(fetch(`${server.url}/api/v1/services`, { signal: AbortSignal.timeout(100) })).rejects.toThrow(
      'timeout',
    )
  })

  it('let in who has the token', async () => {
    const server = await serve({ token: 'one' })
    expect(await get(server, '/api/v1/services')).toMatchObject({ status: 401 })
    expect(await get(server, '/api/v1/services', { authorization: 'Bearer one' })).toMatchObject({ status: 200 })
    server.setToken('two')
    expect(await get(server, '/api/v1/services', { authorization: 'Bearer one' })).toMatchObject({ status: 401 })
    server.setToken(undefined)
    expect(await get(server, '/api/v1/services')).toMatchObject({ status: 200 })
  })

  it('refuse connections until they are accepted again, at the same place', async () => {
    const server = await serve()
    const { url } = server
    await server.refuse()
    await expect(get(server, '/api/v1/services')).rejects.toThrow()
    await server.accept()
    expect(server.url).toBe(url)
    expect(await get(server, '/api/v1/services')).toMatchObject({ status: 200 })
  })
})

import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import type { KubeSourceOptions } from '../../../src/source/kube/kube-source.ts'
import { FakeApiServer, type FakeApiServerOptions } from '../../apiserver/fake-api-server.ts'
import { headlessManifest, serviceCidrManifest, serviceManifest, sliceManifest } from '../../apiserver/manifests.ts'
import { eventually, quickTiming, type Running, start, synced, withNode } from './harness.ts'

let cleanups: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup()
  cleanups = []
})

const serve = async (options: FakeApiServerOptions = {}): Promise<FakeApiServer> => {
  const server = withNode(await FakeApiServer.start(options))
  cleanups.push(() => server.close())
  return server
}

const run = (server: FakeApiServer, options: Partial<KubeSourceOptions> = {}): Running => {
  const running = start(server, options)
  cleanups.push(() => running.stop())
  return running
}

const runSynced = async (server: FakeApiServer, options: Partial<KubeSourceOptions> = {}): Promise<Running> => {
  const running = run(server, options)
  await synced(running)
  return running
}

const services = ({ sink }: Running): readonly string[] => sink.keys().filter((key) => key.startsWith('service '))
const lists = (server: FakeApiServer): readonly string[] =>
  server.requests('services', 'list').map(({ query }) => {
    const { resourceVersion, resourceVersionMatch, limit, continue: token } = Object.fromEntries(query)
    return JSON.stringify({ resourceVersion, resourceVersionMatch, limit, token })
  })

describe('the first list', () => {
  it('is whole when synced is called, and asks the watch cache', async () => {
    const server = await serve()
    for (let i = 0; i < 3; i++) server.put('services', serviceManifest(`web-${i}`, 80))
    server.put('endpointslices', sliceManifest('web-0-x', 8080))
    server.put('servicecidrs', serviceCidrManifest('kubernetes', '10.96.0.0/12'))
    const { sink } = await runSynced(server)
    expect([...(sink.syncedState ?? new Map()).keys()].sort()).toEqual([
      'node',
      'service default/web-0',
      'service default/web-1',
      'service default/web-2',
      'serviceCidr kubernetes',
      'slice default/web-0-x',
    ])
    expect(lists(server)).toEqual(['{"resourceVersion":"0","limit":"500"}'])
  })

  it('hands over a page as one batch and reads on with continue tokens', async () => {
    const server = await serve({ cacheIgnoresLimit: false })
    for (let i = 0; i < 1200; i++) server.put('services', serviceManifest(`web-${i}`, 80))
    const { sink } = await runSynced(server)
    const sizes = sink.batches.filter(([first]) => first?.kind === 'service').map((batch) => batch.length)
    expect(sizes).toEqual([500, 500, 200])
    expect(lists(server)).toHaveLength(3)
  })

  it('comes in batches too from a server that ignores the limit', async () => {
    const server = await serve()
    for (let i = 0; i < 1200; i++) server.put('services', serviceManifest(`web-${i}`, 80))
    const { sink } = await runSynced(server)
    const sizes = sink.batches.filter(([first]) => first?.kind === 'service').map((batch) => batch.length)
    expect(sizes).toEqual([500, 500, 200])
    expect(lists(server)).toHaveLength(1)
  })

  it('sees only our Services, our node, and no headless slices', async () => {
    const server = await serve()
    server.put('services', headlessManifest('headless', 80))
    server.put('services', serviceManifest('ours', 80))
    const others = serviceManifest('others', 80)
    const labels = { 'service.kubernetes.io/service-proxy-name': 'cilium' }
    server.put('services', { ...others, metadata: { ...others.metadata, labels } })
    const headless = { 'kubernetes.io/service-name': 'headless', 'service.kubernetes.io/headless': '' }
    const slice = sliceManifest('headless-x', 80)
    server.put('endpointslices', { ...slice, metadata: { ...slice.metadata, labels: headless } })
    server.put('nodes', { metadata: { name: 'node-2' } })
    const { sink } = await runSynced(server)
    expect(sink.keys()).toEqual(['node', 'service default/ours'])
    const cilium = await runSynced(server, { proxyName: 'cilium' })
    expect(services(cilium)).toEqual(['service default/others'])
    expect(server.openWatches('services')).toBe(2)
  })

  it('falls out of pages that expired into one whole list, without what was deleted between', async () => {
    const server = await serve({ cacheIgnoresLimit: false })
    for (let i = 100; i < 700; i++) server.put('services', serviceManifest(`web-${i}`, 80))
    // The second page is slow; meanwhile its token expires, and one object of the first page goes.
    server.inject({ kind: 'slow', ms: 0 }, { resource: 'services', verb: 'list' })
    server.inject({ kind: 'slow', ms: 100 }, { resource: 'services', verb: 'list' })
    const running = run(server)
    await eventually(() => expect(server.requests('services', 'list')).toHaveLength(2))
    server.delete('services', 'web-100')
    server.expireHistory('services')
    await synced(running)
    expect(lists(server)).toEqual(['{"resourceVersion":"0","limit":"500"}', '{"limit":"500","token":"page-1"}', '{}'])
    expect(services(running)).toHaveLength(599)
    expect(running.sink.state.has('service default/web-100')).toBe(false)
    expect(running.sink.repeated).toEqual([])
  })

  it.each([
    ['the connection breaks instead of an answer', { kind: 'drop' }, 'network'],
    ['the connection breaks within the list', { kind: 'cut' }, 'network'],
    ['the answer is HTML', { kind: 'html' }, 'badResponse'],
    ['the server is out of order', { kind: 'status', code: 500 }, 'unavailable'],
    ['we are forbidden', { kind: 'status', code: 403 }, 'forbidden'],
    ['the server never answers', { kind: 'silence' }, 'timeout'],
  ] as const)('is repeated when %s', async (_, fault, code) => {
    const server = await serve()
    for (let i = 0; i < 30; i++) server.put('services', serviceManifest(`web-${i}`, 80))
    server.inject(fault, { resource: 'services', verb: 'list', times: 2 })
    const running = run(server, { answerMs: 150 })
    await synced(running)
    expect(services(running)).toHaveLength(30)
    expect(running.sink.repeated).toEqual([])
    expect(running.status('services')).toMatchObject({ listed: true, watching: true, errors: 2, relists: 0 })
    const failures = running.events.flatMap((event) => (event.kind === 'failed' ? [event.error.code] : []))
    expect(failures).toEqual([code, code])
  })

  it('goes for the latest after a list broke off that had shown something', async () => {
    const server = await serve()
    for (let i = 0; i < 2000; i++) server.put('services', serviceManifest(`web-${i}`, 80))
    server.inject({ kind: 'cut' }, { resource: 'services', verb: 'list' })
    await runSynced(server)
    expect(lists(server).slice(0, 2)).toEqual(['{"resourceVersion":"0","limit":"500"}', '{"limit":"500"}'])
  })

  it('takes a slow server as it is', async () => {
    const server = await serve()
    server.put('services', serviceManifest('web', 80))
    server.inject({ kind: 'slow', ms: 200 }, { verb: 'list', times: 4 })
    const running = run(server)
    await sleep(100)
    expect(running.sink.syncedCalls).toBe(0)
    await synced(running)
    expect(running.events.filter(({ kind }) => kind !== 'listed')).toEqual([])
    expect(running.status('services').errors).toBe(0)
  })
})

describe('a watch', () => {
  it('hands over each event at once and resumes where it was after a proper end', async () => {
    const server = await serve()
    const running = await runSynced(server)
    server.put('services', serviceManifest('web', 80))
    server.put('services', serviceManifest('web', 81))
    server.delete('services', 'web')
    await eventually(() => expect(running.sink.log()).toHaveLength(4))
    expect(running.sink.batches.slice(-3).map((batch) => batch.length)).toEqual([1, 1, 1])
    const last = server.version
    server.closeWatches('services')
    await eventually(() => expect(server.requests('services', 'watch')).toHaveLength(2))
    expect(server.requests('services', 'watch')[1]?.query.get('resourceVersion')).toBe(String(last))
    expect(running.status('services')).toMatchObject({ errors: 0, relists: 0, reconnects: 1 })
  })

  it('loses nothing that was written while it was broken, and does not list for it', async () => {
    const server = await serve()
    server.put('services', serviceManifest('old', 80))
    const running = await runSynced(server)
    server.inject({ kind: 'drop' }, { resource: 'services', verb: 'watch', times: 3 })
    server.dropWatches('services')
    server.put('services', serviceManifest('new', 80))
    server.delete('services', 'old')
    await eventually(() => expect(services(running)).toEqual(['service default/new']))
    expect(lists(server)).toHaveLength(1)
    expect(running.sink.repeated).toEqual([])
  })

  it('moves on with bookmarks', async () => {
    const server = await serve()
    const running = await runSynced(server)
    for (let i = 0; i < 5; i++) server.advance()
    server.bookmark('services')
    await eventually(() => expect(running.status('services').lastEventAt).toBeDefined())
    await sleep(20)
    server.expireHistory('nodes')
    server.closeWatches('services')
    await eventually(() => expect(server.requests('services', 'watch')).toHaveLength(2))
    expect(server.requests('services', 'watch')[1]?.query.get('resourceVersion')).toBe(String(server.version - 1))
    expect(running.sink.log()).toEqual(['+node'])
  })

  it.each(['event', 'status'] as const)(
    'that has expired (%s) is followed by a list, and the difference is told',
    async (expiredAs) => {
      const server = await serve({ expiredAs })
      for (const name of ['gone', 'kept', 'changed']) server.put('services', serviceManifest(name, 80))
      const running = await runSynced(server)
      const seen = running.sink.log().length
      server.inject({ kind: 'drop' }, { resource: 'services', verb: 'watch', times: 1 })
      server.dropWatches('services')
      const position = server.version
      server.delete('services', 'gone')
      server.put('services', serviceManifest('changed', 81))
      server.put('services', serviceManifest('new', 80))
      server.expireHistory()
      await eventually(() => expect(running.status('services').relists).toBe(1))
      expect(running.sink.log().slice(seen)).toEqual([
        '+service default/changed',
        '+service default/new',
        '-service default/gone',
      ])
      const match = `{"resourceVersion":"${position}","resourceVersionMatch":"NotOlderThan"}`
      expect(lists(server)).toEqual(['{"resourceVersion":"0","limit":"500"}', match])
      expect(running.sink.syncedCalls).toBe(1)
    },
  )

  it('that expires while it is open is followed by a list at once', async () => {
    const server = await serve()
    server.put('services', serviceManifest('web', 80))
    const running = await runSynced(server, {
      timing: { ...quickTiming, backoff: { baseMs: 60_000, capMs: 60_000 } },
      random: () => 0.9,
    })
    server.bookmark()
    await sleep(20)
    server.expireWatches('services')
    await eventually(() => expect(running.status('services')).toMatchObject({ relists: 1, watching: true }))
    expect(running.sink.repeated).toEqual([])
  })

  it.each(['close', 'drop'] as const)('that ends within a line (%s) loses nothing', async (how) => {
    const server = await serve()
    const running = await runSynced(server)
    server.writeHalfLine(how, 'services')
    server.put('services', serviceManifest('web', 80))
    await eventually(() => expect(services(running)).toEqual(['service default/web']))
    // A broken connection resumes; but a whole answer that makes no sense leads to a list.
    await eventually(() => expect(running.status('services').relists).toBe(how === 'close' ? 1 : 0))
    expect(running.status('services').errors).toBe(1)
  })

  it('with a line that is no event is reported and followed by a list', async () => {
    const server = await serve()
    const running = await runSynced(server)
    server.writeGarbage('services')
    await eventually(() => expect(running.status('services').relists).toBe(1))
    const relisting = running.events.find((event) => event.kind === 'relisting')
    expect(relisting).toMatchObject({
      resource: 'services',
      error: { code: 'badResponse', op: 'WATCH /api/v1/services' },
    })
    expect(String(relisting?.kind === 'relisting' && relisting.error.message)).not.toContain('Bad Gateway')
  })

  it('puts events together from any chunks, also in the middle of a character', async () => {
    const server = await serve()
    const running = await runSynced(server)
    const object = { ...serviceManifest('grüße-😀', 80), kind: 'Service', apiVersion: 'v1' }
    const metadata = { name: 'web', namespace: 'default', uid: 'ü😀', resourceVersion: '5000' }
    const bytes = Buffer.from(`${JSON.stringify({ type: 'ADDED', object: { ...object, metadata } })}\n`)
    const at = bytes.indexOf(Buffer.from('😀')) + 2
    await server.trickle('services', [bytes.subarray(0, at), bytes.subarray(at, at + 1), bytes.subarray(at + 1)])
    await eventually(() => expect(running.sink.state.get('service default/web')).toMatchObject({ uid: 'ü😀' }))
  })

  it('that falls silent is given up and opened again', async () => {
    const server = await serve()
    const running = await runSynced(server, { timing: { ...quickTiming, watchMs: 100, graceMs: 50 }, random: () => 0 })
    server.stallWatches('services')
    server.put('services', serviceManifest('web', 80))
    await eventually(() => expect(services(running)).toEqual(['service default/web']))
    const failed = running.events.find((event) => event.kind === 'failed')
    expect(failed).toMatchObject({ resource: 'services', error: { code: 'timeout' } })
    expect(running.status('services').relists).toBe(0)
  })

  it('is asked to last 5 to 10 minutes, and for bookmarks', async () => {
    const server = await serve()
    await runSynced(server)
    for (const { query } of server.seen.filter(({ verb }) => verb === 'watch')) {
      expect(Number(query.get('timeoutSeconds'))).toBeGreaterThanOrEqual(300)
      expect(Number(query.get('timeoutSeconds'))).toBeLessThanOrEqual(600)
      expect(query.get('allowWatchBookmarks')).toBe('true')
    }
  })

  it('that the server ends at once again and again is not reopened in a tight loop', async () => {
    const server = await serve({ expiredAs: 'event' })
    const running = await runSynced(server, {
      timing: { ...quickTiming, backoff: { baseMs: 50, capMs: 100 } },
      random: () => 0.999,
    })
    const closing = setInterval(() => server.closeWatches('services'), 2)
    await sleep(500)
    clearInterval(closing)
    expect(server.requests('services', 'watch').length).toBeLessThan(12)
    expect(running.status('services').errors).toBeGreaterThan(2)
  })
})

describe('a server in trouble', () => {
  it('that is away changes nothing; when it is back the difference is told', async () => {
    const server = await serve()
    server.put('services', serviceManifest('a', 80))
    server.put('services', serviceManifest('b', 80))
    const running = await runSynced(server)
    const before = running.sink.batches.length
    await server.refuse()
    server.delete('services', 'a')
    await sleep(150)
    expect(running.sink.batches).toHaveLength(before)
    expect(services(running)).toEqual(['service default/a', 'service default/b'])
    expect(running.status('services')).toMatchObject({ watching: false })
    expect(running.status('services').errors).toBeGreaterThan(1)
    await server.accept()
    await eventually(() => expect(services(running)).toEqual(['service default/b']))
  })

  it('is left alone for as long as Retry-After says', async () => {
    const server = await serve()
    server.inject({ kind: 'status', code: 429, retryAfter: 1 }, { resource: 'services', verb: 'list' })
    const startedAt = Date.now()
    const running = run(server)
    await synced(running)
    expect(Date.now() - startedAt).toBeGreaterThanOrEqual(950)
    const failed = running.events.find((event) => event.kind === 'failed')
    expect(failed).toMatchObject({ error: { code: 'tooManyRequests', retryAfterMs: 1000 } })
  })

  it('whose cache lags behind what we have seen is not believed', async () => {
    const server = await serve()
    server.freezeCache()
    const running = await runSynced(server)
    server.put('services', serviceManifest('web', 80))
    await eventually(() => expect(services(running)).toHaveLength(1))
    server.expireWatches('services')
    await eventually(() => expect(running.status('services').relists).toBe(1))
    expect(services(running)).toEqual(['service default/web'])
    expect(lists(server).at(-1)).toBe('{"limit":"500"}')
    expect(running.sink.log()).toEqual(['+node', '+service default/web'])
  })
})

describe('an optional resource', () => {
  it.each([403, 404])('that is answered with %i counts as empty and is looked for again', async (code) => {
    const server = await serve()
    server.put('servicecidrs', serviceCidrManifest('kubernetes', '10.96.0.0/12'))
    server.inject({ kind: 'status', code }, { resource: 'servicecidrs', times: 2 })
    const running = run(server)
    await eventually(() => expect(running.sink.syncedCalls).toBe(1))
    expect(running.sink.keys()).toEqual(['node'])
    expect(running.status('servicecidrs')).toMatchObject({ listed: false, errors: 0 })
    await eventually(() => expect(running.sink.keys()).toEqual(['node', 'serviceCidr kubernetes']))
    expect(running.events.filter(({ kind }) => kind === 'absent')).toHaveLength(2)
    expect(running.sink.syncedCalls).toBe(1)
  })

  it('is waited for only until its first answer', async () => {
    const server = await serve()
    server.inject({ kind: 'status', code: 500 }, { resource: 'servicecidrs', times: 1000 })
    const { sink } = await runSynced(server)
    expect(sink.keys()).toEqual(['node'])
  })

  it('is taken back when the server stops serving it, not when it stops letting us see it', async () => {
    const server = await serve()
    server.put('servicecidrs', serviceCidrManifest('kubernetes', '10.96.0.0/12'))
    const running = await runSynced(server)
    server.inject({ kind: 'status', code: 403 }, { resource: 'servicecidrs', times: 2 })
    server.dropWatches('servicecidrs')
    await eventually(() => expect(running.events.some(({ kind }) => kind === 'absent')).toBe(true))
    expect(running.sink.keys()).toEqual(['node', 'serviceCidr kubernetes'])
    await eventually(() => expect(running.status('servicecidrs').watching).toBe(true))
    server.inject({ kind: 'status', code: 404 }, { resource: 'servicecidrs', times: 2 })
    server.dropWatches('servicecidrs')
    await eventually(() => expect(running.sink.keys()).toEqual(['node']))
  })
})

describe('a Service', () => {
  it('that becomes headless or unreadable is taken back, once', async () => {
    const server = await serve()
    server.put('services', serviceManifest('a', 80))
    server.put('services', serviceManifest('b', 80))
    const running = await runSynced(server)
    server.put('services', headlessManifest('a', 80))
    server.put('services', { metadata: { name: 'b' } })
    server.put('services', { metadata: { name: 'b', labels: { again: 'yes' } } })
    server.put('services', { metadata: { name: 'c' } })
    await eventually(() => expect(running.sink.problems).toHaveLength(3))
    expect(running.sink.log().filter((change) => change !== '+node')).toEqual([
      '+service default/a',
      '+service default/b',
      '-service default/a',
      '-service default/b',
    ])
  })
})

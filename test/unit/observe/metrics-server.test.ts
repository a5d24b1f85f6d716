import { Counter, Registry } from 'prom-client'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { router } from '../../../src/observe/http/reply.ts'
import { type RunningServer, serve } from '../../../src/observe/http/serve.ts'
import { metricsRoutes } from '../../../src/observe/metrics/metrics-routes.ts'
import { type Answer, ask } from './support/http.ts'

const registry = new Registry()
const config = { kind: 'KubeProxyConfiguration', apiVersion: 'kubeproxy.config.k8s.io/v1alpha1', mode: 'nftables' }
let effective: unknown = config
let server: RunningServer

const fail = (cause: unknown): never => {
  throw cause
}

beforeAll(async () => {
  new Counter({ name: 'some_total', help: 'Some', registers: [registry] }).inc(2)
  const routes = metricsRoutes({ registry, mode: 'nftables', config: () => effective })
  server = await serve(
    { address: '127.0.0.1', port: 0, hardFail: true, onError: fail },
    router(routes, fail),
    new AbortController().signal,
  )
})
afterAll(() => server.close())

const get = (path: string, method = 'GET'): Promise<Answer> => ask({ port: server.port ?? 0, path, method })

const plain = { 'content-type': 'text/plain; charset=utf-8', 'x-content-type-options': 'nosniff' }

test('/metrics is the registry in Prometheus text', async () => {
  const answer = await get('/metrics')
  expect(answer.status).toBe(200)
  expect(answer.headers['content-type']).toBe('text/plain; version=0.0.4; charset=utf-8')
  expect(answer.body).toBe('# HELP some_total Some\n# TYPE some_total counter\nsome_total 2\n')
})

test.each(['/healthz', '/healthz/ping'])('%s is ok', async (path) => {
  const answer = await get(path, 'POST')
  expect(answer).toMatchObject({ status: 200, body: 'ok' })
  expect(answer.headers).toMatchObject(plain)
})

test('/healthz?verbose names its one check', async () => {
  expect((await get('/healthz?verbose')).body).toBe('[+]ping ok\nhealthz check passed\n')
})

test('/proxyMode is the bare mode', async () => {
  const answer = await get('/proxyMode')
  expect(answer).toMatchObject({ status: 200, body: 'nftables' })
  expect(answer.headers).toMatchObject({ ...plain, 'content-length': '8' })
})

test('/configz is the configuration of this moment', async () => {
  const answer = await get('/configz')
  expect(answer.headers['content-type']).toBe('application/json')
  expect(answer.body).toBe(
    '{"kubeproxy.config.k8s.io":{"kind":"KubeProxyConfiguration","apiVersion":"kubeproxy.config.k8s.io/v1alpha1","mode":"nftables"}}',
  )
  effective = { ...config, mode: 'ipvs' }
  expect((await get('/configz')).body).toContain('"mode":"ipvs"')
})

test.each(['/', '/livez', '/metrics/', '/debug/pprof/', '/proxymode'])('%s is not found', async (path) => {
  expect((await get(path)).status).toBe(404)
})

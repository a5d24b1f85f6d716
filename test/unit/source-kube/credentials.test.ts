import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { connect as connectTcp } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { stringify } from 'yaml'
import { ApiError } from '../../../src/source/kube/api-error.ts'
import { createClient, type KubeClient } from '../../../src/source/kube/client.ts'
import { type Clock, systemClock } from '../../../src/source/kube/clock.ts'
import { createCredentials } from '../../../src/source/kube/credentials.ts'
import type { KubeLocation } from '../../../src/source/kube/kubeconfig.ts'
import { makeCertificates, type TestCertificates } from '../../apiserver/certificates.ts'
import { FakeApiServer, type FakeApiServerOptions } from '../../apiserver/fake-api-server.ts'
import { eventually } from './harness.ts'
import { TemporaryFolder } from './temporary-folder.ts'

let certificates: TestCertificates
beforeAll(() => {
  certificates = makeCertificates()
})

let cleanups: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup()
  cleanups = []
})

const never = new AbortController().signal

const serve = async (options: FakeApiServerOptions = {}): Promise<FakeApiServer> => {
  const server = await FakeApiServer.start(options)
  cleanups.push(() => server.close())
  return server
}

const serveTls = (options: FakeApiServerOptions = {}): Promise<FakeApiServer> =>
  serve({ ...options, tls: { ...certificates.server, ca: certificates.ca } })

const kept: ApiError[] = []
const connect = (location: KubeLocation, clock: Clock = systemClock): KubeClient => {
  kept.length = 0
  const credentials = createCredentials({ location, clock, onKept: (error) => kept.push(error) })
  const client = createClient({ credentials, clock, rateLimit: { qps: 0, burst: 0 }, answerMs: 1000 })
  cleanups.push(() => client.close())
  return client
}

/** One list; it fails, or it passes. */
const ask = (client: KubeClient): Promise<unknown> => client.request('/api/v1/services', {}, never)

const failure = async (work: Promise<unknown>): Promise<ApiError> => {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (!(error instanceof ApiError)) throw new Error(`expected an ApiError, got ${error}`)
  return error
}

const folder = (): TemporaryFolder => {
  const made = new TemporaryFolder()
  cleanups.push(() => made[Symbol.dispose]())
  return made
}

const base64 = (text: string): string => Buffer.from(text).toString('base64')

const kubeconfig = (cluster: object, user: object): string =>
  stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'default',
    contexts: [
      { name: 'other', context: { cluster: 'nowhere', user: 'nobody' } },
      { name: 'default', context: { cluster: 'here', user: 'me' } },
    ],
    clusters: [{ name: 'here', cluster }],
    users: [{ name: 'me', user }],
  })

const at = (file: string, master?: string): KubeLocation => ({ kubeconfig: file, master })

describe('in a pod', () => {
  const pod = (dir: TemporaryFolder, server: FakeApiServer): KubeLocation => {
    const { hostname, port } = new URL(server.url)
    const env = { KUBERNETES_SERVICE_HOST: hostname, KUBERNETES_SERVICE_PORT: port }
    return { kubeconfig: undefined, master: undefined, root: dir.path, env }
  }
  const secrets = 'var/run/secrets/kubernetes.io/serviceaccount'

  it('uses the mounted token and CA', async () => {
    const server = await serveTls({ token: 'first' })
    const dir = folder()
    dir.write(`${secrets}/token`, 'first\n')
    dir.write(`${secrets}/ca.crt`, certificates.ca)
    await ask(connect(pod(dir, server)))
    expect(server.seen.map(({ authorization }) => authorization)).toEqual(['Bearer first'])
  })

  it('reads a replaced token when the old one is refused', async () => {
    const server = await serveTls({ token: 'first' })
    const dir = folder()
    dir.write(`${secrets}/token`, 'first')
    dir.write(`${secrets}/ca.crt`, certificates.ca)
    const client = connect(pod(dir, server))
    await ask(client)
    server.setToken('second')
    const error = await failure(ask(client))
    expect(error).toMatchObject({ code: 'unauthorized', status: 401, op: 'GET /api/v1/services' })
    expect(error.message).not.toContain('first')
    dir.write(`${secrets}/token`, 'second')
    await ask(client)
    expect(server.seen.map(({ authorization }) => authorization)).toEqual([
      'Bearer first',
      'Bearer first',
      'Bearer first',
      'Bearer first',
      'Bearer second',
    ])
  })

  it('reads a replaced token after a minute, and keeps the old one when it cannot', async () => {
    const server = await serveTls()
    const dir = folder()
    dir.write(`${secrets}/token`, 'first')
    dir.write(`${secrets}/ca.crt`, certificates.ca)
    let now = 0
    const client = connect(pod(dir, server), { ...systemClock, now: () => now })
    await ask(client)
    dir.write(`${secrets}/token`, 'second')
    now = 59_000
    await ask(client)
    now = 61_000
    await ask(client)
    dir.write(`${secrets}/token`, '  \n')
    now = 125_000
    await ask(client)
    expect(server.seen.map(({ authorization }) => authorization)).toEqual([
      'Bearer first',
      'Bearer first',
      'Bearer second',
      'Bearer second',
    ])
    expect(kept.map(({ code }) => code)).toEqual(['noCredentials'])
  })

  it('trusts a replaced CA after a minute', async () => {
    const server = await serveTls()
    const dir = folder()
    dir.write(`${secrets}/token`, 'first')
    dir.write(`${secrets}/ca.crt`, makeCertificates().ca)
    let now = 0
    const client = connect(pod(dir, server), { ...systemClock, now: () => now })
    expect(await failure(ask(client))).toMatchObject({ code: 'network' })
    dir.write(`${secrets}/ca.crt`, certificates.ca)
    now = 61_000
    await ask(client)
  })

  it('says so when this is no pod', async () => {
    const client = connect({ kubeconfig: undefined, master: undefined, env: {} })
    expect(await failure(ask(client))).toMatchObject({ code: 'notInCluster' })
  })

  it('does not trust another CA', async () => {
    const server = await serveTls()
    const dir = folder()
    dir.write(`${secrets}/token`, 'first')
    dir.write(`${secrets}/ca.crt`, makeCertificates().ca)
    expect(await failure(ask(connect(pod(dir, server))))).toMatchObject({ code: 'network' })
    expect(server.seen).toEqual([])
  })
})

describe('with a kubeconfig', () => {
  it('reads tokenFile and certificate-authority relative to the file, as kubeadm writes them', async () => {
    const server = await serveTls({ token: 'from-file' })
    const dir = folder()
    dir.write('pki/ca.crt', certificates.ca)
    dir.write('pki/token', 'from-file\n')
    const cluster = { server: server.url, 'certificate-authority': 'pki/ca.crt' }
    const file = dir.write('kubeconfig.conf', kubeconfig(cluster, { tokenFile: 'pki/token', token: 'stale' }))
    const client = connect(at(file))
    await ask(client)
    dir.write('pki/token', 'replaced')
    server.setToken('replaced')
    await ask(client)
  })

  it.each(['inline', 'files'])('presents a client certificate (%s)', async (how) => {
    const server = await serveTls()
    const dir = folder()
    const { key, cert } = certificates.client
    dir.write('client.key', key)
    dir.write('client.crt', cert)
    const user =
      how === 'inline'
        ? { 'client-certificate-data': base64(cert), 'client-key-data': base64(key) }
        : { 'client-certificate': 'client.crt', 'client-key': 'client.key' }
    const cluster = { server: server.url, 'certificate-authority-data': base64(certificates.ca) }
    await ask(connect(at(dir.write('config', kubeconfig(cluster, user)))))
    expect(server.seen.map(({ commonName }) => commonName)).toEqual(['weir-test'])
  })

  it('skips verification only when told to', async () => {
    const server = await serveTls()
    const dir = folder()
    const strict = dir.write('strict', kubeconfig({ server: server.url }, {}))
    expect(await failure(ask(connect(at(strict))))).toMatchObject({ code: 'network' })
    const lax = dir.write('lax', kubeconfig({ server: server.url, 'insecure-skip-tls-verify': true }, {}))
    await ask(connect(at(lax)))
  })

  it('verifies against tls-server-name', async () => {
    const server = await serveTls()
    const dir = folder()
    const cluster = { server: server.url, 'certificate-authority-data': base64(certificates.ca) }
    const good = dir.write('good', kubeconfig({ ...cluster, 'tls-server-name': 'localhost' }, {}))
    await ask(connect(at(good)))
    const bad = dir.write('bad', kubeconfig({ ...cluster, 'tls-server-name': 'example.com' }, {}))
    expect(await failure(ask(connect(at(bad))))).toMatchObject({ code: 'network' })
  })

  it('sends a password, and impersonates', async () => {
    const server = await serve()
    const dir = folder()
    const file = dir.write(
      'config',
      kubeconfig({ server: server.url }, { username: 'ada', password: 'b:c', as: 'eve' }),
    )
    await ask(connect(at(file)))
    expect(server.seen).toMatchObject([{ authorization: `Basic ${base64('ada:b:c')}`, impersonated: 'eve' }])
  })

  it('lets master override the server, and master alone means nobody', async () => {
    const server = await serve()
    const dir = folder()
    const file = dir.write('config', kubeconfig({ server: 'https://192.0.2.1:6443' }, { token: 'mine' }))
    await ask(connect(at(file, server.url)))
    await ask(connect({ kubeconfig: undefined, master: server.url }))
    await ask(connect({ kubeconfig: undefined, master: new URL(server.url).host }))
    expect(server.seen.map(({ authorization }) => authorization)).toEqual(['Bearer mine', undefined, undefined])
  })

  it('reads the whole kubeconfig again after a 401', async () => {
    const server = await serve({ token: 'old' })
    const dir = folder()
    const file = dir.write('config', kubeconfig({ server: server.url }, { token: 'old' }))
    const client = connect(at(file))
    await ask(client)
    dir.write('config', kubeconfig({ server: server.url }, { token: 'new' }))
    server.setToken('new')
    await ask(client)
  })

  it('keeps a path prefix of the server', async () => {
    const server = await serve()
    const dir = folder()
    const file = dir.write('config', kubeconfig({ server: `${server.url}/k8s/clusters/c-1/` }, {}))
    const error = await failure(ask(connect(at(file))))
    expect(error).toMatchObject({ code: 'notFound', status: 404 })
  })

  it('runs a credential plugin, tells it the version, and runs it anew after a 401', async () => {
    const server = await serve({ token: 'plugin-1' })
    const dir = folder()
    const script = `
      const fs = require('node:fs')
      const count = fs.existsSync(process.argv[2]) ? 2 : 1
      fs.writeFileSync(process.argv[2], process.env.KUBERNETES_EXEC_INFO)
      const status = { token: 'plugin-' + count, expirationTimestamp: '2999-01-01T00:00:00Z' }
      console.log(JSON.stringify({ apiVersion: 'client.authentication.k8s.io/v1', kind: 'ExecCredential', status }))`
    const plugin = dir.write('plugin.cjs', script)
    const trace = `${dir.path}/trace`
    const exec = {
      apiVersion: 'client.authentication.k8s.io/v1',
      command: process.execPath,
      args: [plugin, trace],
      interactiveMode: 'Never',
      provideClusterInfo: true,
    }
    const client = connect(at(dir.write('config', kubeconfig({ server: server.url }, { exec }))))
    await ask(client)
    await ask(client)
    server.setToken('plugin-2')
    await ask(client)
    expect(JSON.parse(readFileSync(trace, 'utf8'))).toEqual({
      apiVersion: exec.apiVersion,
      kind: 'ExecCredential',
      spec: { interactive: false, cluster: { server: server.url, 'insecure-skip-tls-verify': false } },
    })
    expect(server.seen.map(({ authorization }) => authorization)).toEqual([
      'Bearer plugin-1',
      'Bearer plugin-1',
      'Bearer plugin-1',
      'Bearer plugin-2',
    ])
  })

  it.each([
    ['SECRET', 'printed something that is no JSON'],
    ['{"kind":"ExecCredential"}', 'printed no credential'],
  ])('reports a credential plugin that prints %s, and not what it printed', async (output, message) => {
    const dir = folder()
    const exec = { apiVersion: 'client.authentication.k8s.io/v1', command: 'echo', args: [output] }
    const file = dir.write('config', kubeconfig({ server: 'https://192.0.2.1' }, { exec }))
    const error = await failure(ask(connect(at(file))))
    expect(error.code).toBe('noCredentials')
    expect(error.message).toContain(message)
    expect(`${error.stack} ${error.cause}`).not.toContain(output)
  })

  it('reports a token that cannot be sent, and not the token', async () => {
    const dir = folder()
    const file = dir.write('config', kubeconfig({ server: 'https://192.0.2.1' }, { token: 'SEC\nRET' }))
    const error = await failure(ask(connect(at(file))))
    expect(error.code).toBe('noCredentials')
    expect(`${error.stack} ${error.cause}`).not.toContain('SEC')
  })

  it('goes through a proxy-url', async () => {
    const server = await serveTls({ token: 'mine' })
    const tunnels: string[] = []
    const proxy = createServer().on('connect', (request, client, head) => {
      tunnels.push(request.url ?? '')
      const upstream = connectTcp(Number(new URL(server.url).port), '127.0.0.1', () => {
        client.write('HTTP/1.1 200 Connection established\r\n\r\n')
        upstream.write(head)
        client.pipe(upstream).pipe(client)
      })
      client.on('error', () => upstream.destroy())
      upstream.on('error', () => client.destroy())
    })
    await once(proxy.listen(0, '127.0.0.1'), 'listening')
    cleanups.push(async () => {
      await server.close()
      proxy.close()
    })
    const address = proxy.address()
    const port = address !== null && typeof address === 'object' ? address.port : 0
    const dir = folder()
    dir.write('token', 'mine')
    const cluster = { server: server.url, 'certificate-authority-data': base64(certificates.ca) }
    const file = dir.write(
      'config',
      kubeconfig({ ...cluster, 'proxy-url': `http://127.0.0.1:${port}` }, { tokenFile: 'token' }),
    )
    await ask(connect(at(file)))
    expect(tunnels).toEqual([new URL(server.url).host])
    expect(server.seen).toHaveLength(1)
  })

  it('uses an auth-provider that client-node knows', async () => {
    const server = await serve()
    const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
    const token = `${part({ alg: 'none' })}.${part({ exp: 4102444800 })}.${part({})}`
    const dir = folder()
    const provider = { name: 'oidc', config: { 'id-token': token } }
    const file = dir.write('config', kubeconfig({ server: server.url }, { 'auth-provider': provider }))
    await ask(connect(at(file)))
    expect(server.seen.map(({ authorization }) => authorization)).toEqual([`Bearer ${token}`])
  })

  it('reports a credential plugin that fails', async () => {
    const dir = folder()
    const exec = { apiVersion: 'client.authentication.k8s.io/v1', command: '/nonexistent/plugin' }
    const file = dir.write('config', kubeconfig({ server: 'https://192.0.2.1' }, { exec }))
    expect(await failure(ask(connect(at(file))))).toMatchObject({ code: 'noCredentials' })
  })

  it.each([
    ['is missing', undefined, 'ENOENT'],
    ['is no YAML', '{', 'load kubeconfig'],
    ['is no YAML, without the line, which may be a token', 'token: "SECRET', 'line 1: '],
    ['is no mapping', '- a', 'it is no YAML mapping'],
    ['has no current-context', 'clusters: []', 'it has no current-context'],
    ['names a context that is not there', 'current-context: x', 'it has no context "x"'],
    [
      'names a cluster that is not there',
      stringify({ 'current-context': 'x', contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }] }),
      'it has no cluster "c"',
    ],
    [
      'names a user that is not there',
      stringify({
        'current-context': 'x',
        contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
        clusters: [{ name: 'c', cluster: { server: 'https://192.0.2.1' } }],
      }),
      'it has no user "u"',
    ],
    ['has a cluster without a server', kubeconfig({}, {}), 'clusters[0].cluster.server is missing'],
    ['has a server that is no URL', kubeconfig({ server: 'ftp://x' }, {}), '"ftp://x" is no URL'],
    [
      'has a broken CA',
      kubeconfig(
        {
          server: 'https://192.0.2.1',
          'certificate-authority-data': base64('-----BEGIN CERTIFICATE-----\nxx\n-----END CERTIFICATE-----'),
        },
        {},
      ),
      'its certificates: ',
    ],
    [
      'has a CA file that is missing',
      kubeconfig({ server: 'https://192.0.2.1', 'certificate-authority': '/nonexistent/ca.crt' }, {}),
      'its certificates: ENOENT',
    ],
  ])('says in one line that it %s', async (_, text, message) => {
    const dir = folder()
    const file = text === undefined ? `${dir.path}/missing` : dir.write('config', text)
    const error = await failure(ask(connect(at(file))))
    expect(error).toMatchObject({ code: 'unreadableKubeconfig' })
    expect(error.message).toContain(message)
    expect(error.message).not.toContain('\n')
    expect(`${error.stack} ${error.cause}`).not.toContain('SECRET')
  })
})

describe('connections', () => {
  it('are used again, and a kept one that has gone stale costs nothing', async () => {
    const server = await serve()
    const client = connect({ kubeconfig: undefined, master: server.url })
    await ask(client)
    await server.refuse()
    await server.accept()
    await ask(client)
    expect(server.seen).toHaveLength(2)
  })

  it('name every cause when nobody listens', async () => {
    const server = await serve()
    await server.refuse()
    const error = await failure(ask(connect({ kubeconfig: undefined, master: server.url })))
    expect(error).toMatchObject({ code: 'network' })
    expect(error.message).toContain('ECONNREFUSED')
  })

  it('end when the caller gives up', async () => {
    const server = await serve()
    server.inject({ kind: 'silence' })
    const client = connect({ kubeconfig: undefined, master: server.url })
    const stopper = new AbortController()
    const asking = client.request('/api/v1/services', {}, stopper.signal)
    await eventually(() => expect(server.seen).toHaveLength(1))
    stopper.abort(new Error('enough'))
    await expect(asking).rejects.toThrow('enough')
  })

  it('leave no watch behind when the caller stops in the middle of it', async () => {
    const server = await serve()
    const client = connect({ kubeconfig: undefined, master: server.url })
    const query = { watch: 'true', allowWatchBookmarks: 'true', resourceVersion: String(server.version) }
    const events = await client.stream('/api/v1/services', query, 5000, never)
    await eventually(() => expect(server.openWatches()).toBe(1))
    server.bookmark()
    for await (const event of events) {
      expect(event.kind).toBe('bookmark')
      break
    }
    await eventually(() => expect(server.openWatches()).toBe(0))
  })

  it('obey qps and burst for lists, not for watches', async () => {
    const server = await serve()
    const waits: number[] = []
    const clock: Clock = { now: () => 0, sleep: async (ms) => void waits.push(ms) }
    const location = { kubeconfig: undefined, master: server.url }
    const credentials = createCredentials({ location, clock, onKept: () => {} })
    const client = createClient({ credentials, clock, rateLimit: { qps: 5, burst: 2 } })
    cleanups.push(() => client.close())
    for (let i = 0; i < 4; i++) await ask(client)
    const stopper = new AbortController()
    await client.stream('/api/v1/services', { watch: 'true', resourceVersion: '1000' }, 100, stopper.signal)
    stopper.abort()
    expect(waits).toEqual([200, 400])
    await sleep(1)
  })
})

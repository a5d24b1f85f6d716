import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { makeCertificates } from '../apiserver/certificates.ts'
import { FakeApiServer } from '../apiserver/fake-api-server.ts'
import { ownNamespace } from '../support/namespace.ts'
import { node, service, slice } from './cli-manifests.ts'
import {
  elements,
  endpoints,
  eventually,
  get,
  metrics,
  runWeir,
  services,
  sh,
  startWeir,
  temporaryFolder,
} from './cli-program.ts'

ownNamespace(import.meta.url)

const root = temporaryFolder()
const flags = ['--proxy-mode=nftables', '--hostname-override=Node-1', '--kube-api-qps=100', '--kube-api-burst=100']
const nodeAddress = '192.0.2.10'
sh(`ip link add eth0 type veth peer name eth0-far; ip addr add ${nodeAddress}/24 dev eth0; ip link set eth0 up`)

const putWeb = (server: FakeApiServer, name: string, last: number, endpointsOf = [`10.244.0.${last}`]): void => {
  server.put('services', service(name, { ip: `10.96.0.${last}` }))
  server.put('endpointslices', slice(name, endpointsOf))
}
const cluster = async (options: Parameters<typeof FakeApiServer.start>[0] = {}): Promise<FakeApiServer> => {
  const server = await FakeApiServer.start(options)
  server.put('nodes', node('node-1', { addresses: [nodeAddress], podCIDRs: ['10.244.0.0/24'], zone: 'a' }))
  putWeb(server, 'web', 1)
  return server
}
const web = '10.96.0.1 tcp 80'
const clean = async (): Promise<void> => {
  await runWeir(['cleanup'])
}

t.test('nothing is written before every cache is full, and the Node is there', async (t) => {
  const server = await cluster()
  t.teardown(() => server.close())
  for (const resource of ['services', 'endpointslices', 'nodes'] as const) {
    await clean()
    server.inject({ kind: 'slow', ms: 1_500 }, { resource, verb: 'list' })
    const weir = startWeir(t, [...flags, '--master', server.url])
    await weir.says(/"Listed" resource="servicecidrs"/)
    await sleep(700)
    t.equal(services(), undefined, `${resource} are missing`)
    t.equal((await get('http://127.0.0.1:10256/healthz')).status, resource === 'nodes' ? 503 : 200)
    await eventually(services, (found) => found?.includes(web) === true)
    t.match(await weir.end(), { status: 0, killer: null })
    t.same(services(), [web], 'the rules stay')
  }

  await clean()
  server.delete('nodes', 'node-1')
  const weir = startWeir(t, [...flags, '--master', server.url])
  await weir.says(/Waiting up to 30 s for Node node-1 to have an address/)
  t.match(JSON.parse((await get('http://127.0.0.1:10256/healthz')).body), { nodeEligible: false, healthy: true })
  t.equal((await get('http://127.0.0.1:10256/livez')).status, 200)
  server.put('nodes', node('node-1'))
  await sleep(300)
  t.equal(services(), undefined, 'a Node without an address')
  server.put('nodes', node('node-1', { addresses: [nodeAddress] }))
  await eventually(services, (found) => found?.includes(web) === true)
  t.equal((await get('http://127.0.0.1:10256/healthz')).status, 200)
  t.equal((await weir.end()).status, 0)
})

t.test('changes, broken watches, a server that is away and comes back different', async (t) => {
  await clean()
  const server = await cluster()
  t.teardown(() => server.close())
  const weir = await startWeir(t, [...flags, '--master', server.url]).serving()
  const has = (...wanted: readonly string[]) =>
    eventually(endpoints, (found) => JSON.stringify(found) === JSON.stringify(wanted))
  await has(`${web} 0 10.244.0.1 8080`)

  putWeb(server, 'second', 2)
  await has(`${web} 0 10.244.0.1 8080`, '10.96.0.2 tcp 80 0 10.244.0.2 8080')
  server.put('endpointslices', slice('second', ['10.244.0.22']))
  await has(`${web} 0 10.244.0.1 8080`, '10.96.0.2 tcp 80 0 10.244.0.22 8080')
  server.delete('services', 'web')
  await has('10.96.0.2 tcp 80 0 10.244.0.22 8080')

  server.dropWatches()
  putWeb(server, 'third', 3)
  await has('10.96.0.2 tcp 80 0 10.244.0.22 8080', '10.96.0.3 tcp 80 0 10.244.0.3 8080')

  server.expireWatches()
  server.delete('services', 'second')
  await has('10.96.0.3 tcp 80 0 10.244.0.3 8080')

  const connected = (resource: string) => `weir_source_connected{resource="${resource}"}`
  const all = ['services', 'endpointslices', 'nodes', 'servicecidrs'].map(connected)
  const back = await eventually(metrics, (found) => all.every((name) => found.get(name) === 1))
  t.equal(back.get('weir_source_relists_total{resource="services"}'), 1)
  t.ok((back.get('weir_source_reconnects_total{resource="services"}') ?? 0) >= 2)

  await server.refuse()
  await eventually(metrics, (found) => all.every((name) => found.get(name) === 0))
  await weir.says(/Cannot hear from the API server: the node keeps what it has.*ECONNREFUSED/)
  t.same(endpoints(), ['10.96.0.3 tcp 80 0 10.244.0.3 8080'])
  t.equal((await get('http://127.0.0.1:10256/healthz')).status, 200, 'the node keeps working')
  server.delete('services', 'third')
  server.delete('endpointslices', 'third')
  putWeb(server, 'fourth', 4)
  server.expireHistory()
  await server.accept()
  await has('10.96.0.4 tcp 80 0 10.244.0.4 8080')
  await eventually(metrics, (found) => all.every((name) => found.get(name) === 1))

  await t.test('the Node', async (t) => {
    const local = (zone: string, address: string): object => ({
      addresses: [address],
      conditions: { ready: true },
      hints: { forZones: [{ name: zone }] },
    })
    server.put('endpointslices', slice('fourth', [{ ...local('a', '10.244.0.5') }, { ...local('b', '10.244.0.6') }]))
    await has('10.96.0.4 tcp 80 0 10.244.0.5 8080')
    server.put('nodes', node('node-1', { addresses: [nodeAddress], zone: 'b' }))
    await has('10.96.0.4 tcp 80 0 10.244.0.6 8080')
    server.put('nodes', node('node-1', { addresses: [nodeAddress], zone: 'c' }))
    await has('10.96.0.4 tcp 80 0 10.244.0.5 8080', '10.96.0.4 tcp 80 1 10.244.0.6 8080')

    const eligible = async (): Promise<unknown> =>
      JSON.parse((await get('http://127.0.0.1:10256/healthz')).body).nodeEligible
    const taints = ['ToBeDeletedByClusterAutoscaler']
    server.put('nodes', node('node-1', { addresses: [nodeAddress], zone: 'b', taints }))
    await eventually(eligible, (value) => value === false)
    t.equal((await get('http://127.0.0.1:10256/livez')).status, 200)
    server.put('nodes', node('node-1', { addresses: [nodeAddress], zone: 'b' }))
    await eventually(eligible, (value) => value === true)
    server.delete('nodes', 'node-1')
    await eventually(eligible, (value) => value === false)
    t.same(endpoints(), ['10.96.0.4 tcp 80 0 10.244.0.6 8080'], 'a deleted Node keeps its rules, and its zone')
    server.put('nodes', node('other', { addresses: ['192.0.2.99'], zone: 'a' }))
    for (let i = 0; i < 5; i++)
      server.put('nodes', node('node-1', { addresses: [nodeAddress], zone: 'b', podCIDRs: [`10.244.${i}.0/24`] }))
    await eventually(eligible, (value) => value === true)
    t.equal(weir.lines(/Node eligibility/).length, 5, 'a line for each change, not for each sight')
  })
  t.equal((await weir.end()).status, 0)

  const rules = endpoints()
  await server.refuse()
  const restarted = startWeir(t, [...flags, '--master', server.url])
  await restarted.says(/Cannot hear from the API server.*ECONNREFUSED/)
  await sleep(300)
  t.same(endpoints(), rules, 'a start without a server leaves everything as it is')
  t.equal((await get('http://127.0.0.1:10256/livez')).status, 200)
  t.equal((await restarted.end()).status, 0)
})

t.test('a kubeconfig with TLS and a token file that is rotated', async (t) => {
  await clean()
  const certificates = makeCertificates()
  const server = await cluster({ tls: { ...certificates.server, ca: certificates.ca }, token: 'first-token' })
  t.teardown(() => server.close())
  mkdirSync(join(root, 'kube'))
  writeFileSync(join(root, 'kube', 'ca.crt'), certificates.ca)
  const token = join(root, 'kube', 'token')
  writeFileSync(token, 'first-token\n')
  const kubeconfig = join(root, 'kube', 'config')
  writeFileSync(
    kubeconfig,
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      'current-context': 'c',
      contexts: [{ name: 'c', context: { cluster: 'k', user: 'u' } }],
      clusters: [{ name: 'k', cluster: { server: server.url, 'certificate-authority': 'ca.crt' } }],
      users: [{ name: 'u', user: { tokenFile: 'token' } }],
    }),
  )
  const weir = await startWeir(t, [...flags, '--kubeconfig', kubeconfig]).serving()
  await eventually(services, (found) => found?.includes(web) === true)

  writeFileSync(token, 'second-token\n')
  server.setToken('second-token')
  server.dropWatches()
  putWeb(server, 'after', 9)
  await eventually(services, (found) => found?.includes('10.96.0.9 tcp 80') === true)
  t.ok(server.seen.some(({ authorization }) => authorization === 'Bearer second-token'))
  t.notMatch(weir.log, /first-token|second-token/)
  t.equal((await weir.end()).status, 0)
})

t.test('--once with an API server', async (t) => {
  await clean()
  const server = await cluster()
  t.teardown(() => server.close())
  const once = [...flags, '--once', '--master']
  const written = await runWeir([...once, server.url])
  t.equal(written.status, 0, written.stderr)
  t.same(services(), [web])

  server.delete('nodes', 'node-1')
  t.match(await runWeir([...once, server.url]), { status: 0, stderr: /there is no Node node-1.*going on without one/ })

  server.inject({ kind: 'silence' }, { resource: 'services', verb: 'list' })
  const stopped = startWeir(t, [...once, server.url])
  await stopped.says(/"Listed" resource="nodes"/)
  t.match(await stopped.end(), { status: 1, stderr: /^weir: told to end before the first sync$/m })

  server.inject({ kind: 'status', code: 403 }, { resource: 'services', verb: 'list', times: 1_000 })
  const start = Date.now()
  const [denied, away] = await Promise.all([runWeir([...once, server.url]), runWeir([...once, 'http://127.0.0.1:9'])])
  t.match(denied, {
    status: 1,
    stderr: /^weir: could not list what the API server has: LIST \/api\/v1\/services: 403: a fault of the test$/m,
  })
  t.match(away, { status: 1, stderr: /^weir: could not list .*: LIST \/.*: connect ECONNREFUSED 127\.0\.0\.1:9$/m })
  t.ok(Date.now() - start < 25_000, 'not for ever')
})

t.test('render of a cluster', async (t) => {
  const server = await cluster()
  t.teardown(() => server.close())
  server.put('services', service('wrong', { ip: 'nowhere' }))
  const through = ['setpriv', '--reuid', '65534', '--clear-groups']
  const { status, stdout, stderr } = await runWeir(['render', ...flags, '--family=ipv4', '--master', server.url], {
    through,
  })
  t.equal(status, 0)
  t.match(stdout, /10\.96\.0\.1 \. tcp \. 80 .*"default\/web:main".*goto/)
  t.match(stderr, /^weir: Service default\/wrong: spec\.clusterIPs\[0\]: .*\n$/)
})

t.test('own addresses and NodePorts', async (t) => {
  await clean()
  const server = await cluster()
  t.teardown(() => server.close())
  server.put('services', service('ports', { ip: '10.96.0.7', nodePort: 30_007 }))
  server.put('endpointslices', slice('ports', ['10.244.0.7']))
  const weir = await startWeir(t, [
    ...flags,
    '--master',
    server.url,
    '--nodeport-addresses=192.0.2.0/24,203.0.113.0/24',
  ]).serving()
  const accepts = (...wanted: readonly string[]) =>
    eventually(
      () => elements('nodeport-ips'),
      (found) => JSON.stringify(found) === JSON.stringify(wanted),
    )
  await accepts(nodeAddress)
  sh('ip addr add 203.0.113.5/32 dev eth0; ip addr add 198.51.100.5/32 dev eth0')
  await accepts(nodeAddress, '203.0.113.5')
  sh('ip addr del 203.0.113.5/32 dev eth0')
  await accepts(nodeAddress)
  t.same(elements('nodeports')?.length, 1)
  t.equal((await weir.end()).status, 0)
})

t.test('a configuration file: over flags, in /configz, and the end when it changes', async (t) => {
  await clean()
  const server = await cluster()
  t.teardown(() => server.close())
  const file = join(root, 'config.yaml')
  const text = `apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
bindAddress: "::"
hostnameOverride: NODE-1
clusterCIDR: 10.0.0.0/8
`
  writeFileSync(file, text)
  const weir = await startWeir(t, [
    `--config=${file}`,
    '--master',
    server.url,
    '--cluster-cidr=172.16.0.0/12',
  ]).serving()
  t.equal(weir.lines(/--cluster-cidr is ignored because --config is given/).length, 1)
  const configz = JSON.parse((await get('http://[::1]:10249/configz')).body)['kubeproxy.config.k8s.io']
  t.match(configz, { mode: 'nftables', clusterCIDR: '10.0.0.0/8', hostnameOverride: 'node-1' })
  t.equal((await get('http://127.0.0.1:10256/healthz')).status, 200, '[::] takes IPv4 too')
  t.equal((await get('http://[::1]:10256/healthz')).status, 200)
  writeFileSync(file, `${text}# changed\n`)
  const { status, stderr } = await weir.ended
  t.equal(status, 1)
  t.match(stderr, /^weir: .*config\.yaml has changed: ending, .*$/m)
  t.same(services(), [web], 'the rules stay')
  t.match(readFileSync(file, 'utf8'), /changed/)
})

import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { ownNamespace } from '../support/namespace.ts'
import { node, service, slice, writeManifests } from './cli-manifests.ts'
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
const newFolder = (name: string): string => {
  const path = join(root, name)
  mkdirSync(path)
  return path
}
const flags = ['--proxy-mode=nftables', '--hostname-override=node-1']

/** What is wrong, and what the one line about it has to hold: the object, the field and the value. */
const broken = [
  {
    file: 'twice.yaml',
    manifests: [service('twice', { ip: '10.96.0.3' }), slice('twice', ['10.244.0.1', '10.244.0.2', '10.244.0.1'])],
    object: 'EndpointSlice default/twice',
    field: 'endpoints[2]',
    says: '10.244.0.1',
  },
  {
    file: 'address.yaml',
    manifests: [service('address', { ip: '10.96.1' })],
    object: 'Service default/address',
    field: 'spec.clusterIPs[0]',
    says: '10.96.1',
  },
  {
    file: 'family.yaml',
    manifests: [service('family', { ip: '10.96.0.21' }), slice('family', ['2001:db8::1'])],
    object: 'EndpointSlice default/family',
    field: 'endpoints[0].addresses[0]',
    says: '2001:db8::1',
  },
  {
    file: 'port-0.yaml',
    manifests: [service('port-zero', { ip: '10.96.0.22', port: 0 })],
    object: 'Service default/port-zero',
    field: 'spec.ports[0].port',
    says: '0',
  },
  {
    file: 'port-70000.yaml',
    manifests: [service('port-large', { ip: '10.96.0.23' }), slice('port-large', ['10.244.0.1'], { port: 70_000 })],
    object: 'EndpointSlice default/port-large',
    field: 'ports[0].port',
    says: '70000',
  },
  {
    file: 'fqdn.yaml',
    manifests: [slice('fqdn', ['example.com'], { addressType: 'FQDN' })],
    object: 'EndpointSlice default/fqdn',
    field: 'addressType',
    says: 'FQDN',
  },
  {
    file: 'node-port.yaml',
    manifests: [service('node-port', { ip: '10.96.0.25', nodePort: 30_001 })],
    object: 'Service default/node-port',
    field: 'spec.ports[?(@.name=="main")].nodePort',
    says: '30001',
  },
  {
    file: 'vip.yaml',
    manifests: [service('vip', { ip: '10.96.0.26', spec: { externalIPs: ['198.51.100.1'] } })],
    object: 'Service default/vip',
    field: 'spec.externalIPs',
    says: '198.51.100.1',
  },
  {
    file: 'annotation.yaml',
    manifests: [
      service('annotation', { ip: '10.96.0.27', annotations: { 'weir.dev/scheduler': 'fastest' } }),
      slice('annotation', ['10.244.0.27']),
    ],
    object: 'Service default/annotation',
    field: 'metadata.annotations[weir.dev/scheduler]',
    says: 'fastest',
  },
] as const

const goodEndpoints = Array.from({ length: 1_000 }, (_, i) => `10.245.${i >> 8}.${i & 255}`)
const good = [
  service('good', { ip: '10.96.0.1', nodePort: 30_001, spec: { externalIPs: ['198.51.100.1'] } }),
  slice('good', ['10.244.0.1', '10.244.0.2']),
  // While a slice grows, an endpoint may be in two: that is no fault.
  slice('good', ['10.244.0.2'], { name: 'good-again' }),
  service('large', { ip: '10.96.0.2' }),
  slice('large', goodEndpoints),
]

t.test('one broken object never stops the rest, and gives one line and one count', async (t) => {
  const folder = newFolder('broken')
  writeManifests(folder, '00-good.yaml', good)
  const weir = await startWeir(t, [...flags, '--manifests', folder]).serving()
  const of = (ip: string): readonly string[] => (endpoints() ?? []).filter((line) => line.startsWith(`${ip} `))
  await eventually(
    () => of('10.96.0.2').length,
    (count) => count === 1_000,
  )
  const pair = ['0 10.244.0.1 8080', '1 10.244.0.2 8080']
  const ofGood = ['10.96.0.1', '198.51.100.1'].flatMap((ip) => pair.map((rest) => `${ip} tcp 80 ${rest}`))
  t.same([...of('10.96.0.1'), ...of('198.51.100.1')], ofGood)
  t.same(weir.lines(/^[WE]/), [], 'nothing to complain about yet')
  const counted = async (kind: string): Promise<number> =>
    (await metrics()).get(`weir_rejected_objects_total{kind="${kind}"}`) ?? 0

  for (const { file, manifests, object, field, says } of broken) {
    const kind = object.slice(0, object.indexOf(' '))
    const before = await counted(kind)
    writeManifests(folder, file, manifests)
    await eventually(
      () => weir.lines(/^W/).filter((line) => line.includes(object)).length,
      (count) => count > 0,
    )
    const lines = weir.lines(/^W/).filter((line) => line.includes(`object=${JSON.stringify(object)}`))
    t.equal(lines.length, 1, `${object}: one line`)
    t.ok(lines[0]?.includes(`field=${JSON.stringify(field)}`), `${object}: ${field}`)
    t.ok(lines[0]?.includes(says), `${object}: ${says}`)
    t.equal((await counted(kind)) - before, 1, `${object}: one count`)
  }
  t.same(
    of('10.96.0.3'),
    pair.map((rest) => `10.96.0.3 tcp 80 ${rest}`),
    'an endpoint that comes twice counts once',
  )
  t.same([...of('10.96.0.1'), ...of('198.51.100.1')], ofGood, 'an address stays with the one that had it')
  t.same(of('10.96.0.27').length, 1, 'an annotation that is not understood takes nothing away')
  t.match(elements('nodeports'), [/^tcp 30001 /], 'the NodePort stays with the one that had it')

  const half = join(folder, 'half.yaml')
  writeFileSync(
    half,
    `${JSON.stringify(service('half', { ip: '10.96.0.31' }))}\n---\n{"apiVersion": "v1", "kind": "Serv`,
  )
  await weir.says(/object="File .*half\.yaml" field="line 3, column 35"/)
  t.equal(await counted('File'), 1)
  writeManifests(folder, 'unknown.yaml', [
    { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'what', namespace: 'default' } } as never,
    service('beside', { ip: '10.96.0.32' }),
  ])
  writeManifests(folder, 'beside.yaml', [slice('beside', ['10.244.0.32'])])
  await eventually(
    () => of('10.96.0.32').length,
    (count) => count === 1,
  )
  t.equal(of('10.96.0.2').length, 1_000)
  t.equal(weir.lines(/^E/).length, 0)
  t.equal((await get('http://127.0.0.1:10256/livez')).status, 200)
  const { status, stderr } = await weir.end()
  t.equal(status, 0)
  t.notMatch(stderr, /\n\s+at /)
})

t.test('--once says what is wrong as well', async (t) => {
  const { status, stderr } = await runWeir([...flags, '--once', '--manifests', join(root, 'broken')])
  t.equal(status, 0)
  for (const { object, field } of broken)
    t.equal(
      stderr.split('\n').filter((line) => line.includes(`object="${object}" field=${JSON.stringify(field)}`)).length,
      1,
      object,
    )
  t.match(stderr, /object="File .*half\.yaml"/)
})

/** An environment whose `nft` first runs `script`, which may exit instead. */
const nftThat = (name: string, script: string): { readonly env: Readonly<Record<string, string>> } => {
  const bin = newFolder(name)
  const text = `#!/bin/sh\n${script}\nexec ${sh('command -v nft').trim()} "$@"\n`
  writeFileSync(join(bin, 'nft'), text, { mode: 0o755 })
  return { env: { PATH: `${bin}:${process.env['PATH']}` } }
}

t.test('a failed commit loses no event, and is heard of', async (t) => {
  await runWeir(['cleanup'])
  const folder = newFolder('failing')
  writeManifests(folder, 'a.yaml', [service('a', { ip: '10.96.0.1' }), slice('a', ['10.244.0.1'])])
  const switchFile = join(root, 'refuse')
  const refuse = `if [ -e ${switchFile} ] && [ "$1" = -f ]; then
  cat > /dev/null; echo 'Error: Device or resource busy' >&2; exit 1
fi`
  const weir = startWeir(t, [...flags, '--manifests', folder], nftThat('refusing', refuse))
  await weir.serving()
  await eventually(services, (found) => found?.length === 1)
  const failures = 'kubeproxy_sync_proxy_rules_nftables_sync_failures_total{ip_family="IPv4"}'
  t.equal((await metrics()).get(failures) ?? 0, 0)

  writeFileSync(switchFile, '')
  sh('nft delete table ip weir')
  await weir.says(/"Sync failed" family="IPv4".*Device or resource busy/)
  writeManifests(folder, 'b.yaml', [service('b', { ip: '10.96.0.2' }), slice('b', ['10.244.0.2'])])
  rmSync(join(folder, 'a.yaml'))
  await eventually(metrics, (found) => (found.get(failures) ?? 0) >= 3)
  t.equal(services(), undefined)
  const lines = weir.lines(/Sync failed/).length
  t.ok(lines < 15, `${lines} lines are no flood`)
  rmSync(switchFile)
  await eventually(services, (found) => JSON.stringify(found) === '["10.96.0.2 tcp 80"]')
  t.ok(((await metrics()).get('weir_sync_errors_total{ip_family="IPv4",code="busy"}') ?? 0) >= 3)
  t.equal((await weir.end()).status, 0)
})

t.test('SIGTERM lets a commit finish, a second one does not wait', async (t) => {
  const folder = newFolder('slow')
  writeManifests(folder, 'a.yaml', [service('a', { ip: '10.96.0.1' }), slice('a', ['10.244.0.1'])])
  const slow = `[ "$1" = -f ] && [ -e ${join(root, 'slow-now')} ] && { touch ${join(root, 'begun')}; sleep 1; }`
  const options = nftThat('sleeping', slow)
  for (const signals of [1, 2]) {
    for (const file of ['slow-now', 'begun']) rmSync(join(root, file), { force: true })
    await runWeir(['cleanup'])
    const weir = startWeir(t, [...flags, '--manifests', folder], options)
    await eventually(
      () => [services(), services('ip6')],
      ([ipv4, ipv6]) => ipv4?.length === 1 && ipv6 !== undefined,
    )
    writeFileSync(join(root, 'slow-now'), '')
    sh('nft delete table ip weir')
    await eventually(
      () => existsSync(join(root, 'begun')),
      (begun) => begun,
    )
    weir.signal('SIGTERM')
    if (signals === 2) await sleep(100)
    const { status, killer, stderr } = signals === 2 ? await weir.end('SIGTERM') : await weir.ended
    t.same([status, killer], [signals - 1, null])
    t.notMatch(stderr, /Sync failed|\n\s+at /)
    if (signals === 1) t.same(services(), ['10.96.0.1 tcp 80'], 'the commit is whole')
  }
})

t.test('SIGTERM at any moment of the start is no failure', async (t) => {
  const folder = join(root, 'slow')
  for (let ms = 120; ms < 500; ms += 40) {
    const weir = startWeir(t, [...flags, '--manifests', folder])
    await sleep(ms)
    const { status, killer, stderr } = await weir.end()
    // Until it reads its command line it handles no signal.
    t.ok(status === 0 || (killer === 'SIGTERM' && stderr === ''), `after ${ms} ms: ${status ?? killer} ${stderr}`)
  }
})

t.test('metrics, /proxyMode, /configz and the healthCheckNodePort of a Service', async (t) => {
  const folder = newFolder('health')
  sh('ip link add eth0 type veth peer name far; ip addr add 192.0.2.10/32 dev eth0; ip link set eth0 up')
  writeManifests(folder, 'node.yaml', [node('node-1', { addresses: ['192.0.2.10'] })])
  const local = { addresses: ['10.244.0.1'], conditions: { ready: true }, nodeName: 'node-1' }
  const spec = { type: 'LoadBalancer', externalTrafficPolicy: 'Local', healthCheckNodePort: 32_000 }
  writeManifests(folder, 'lb.yaml', [
    service('lb', { ip: '10.96.0.9', nodePort: 30_009, spec, loadBalancerIP: '203.0.113.9' }),
    slice('lb', [local, '10.244.0.2']),
  ])
  const ports = ['--metrics-bind-address=0.0.0.0:20249', '--healthz-bind-address', '[::]:20256']
  const weir = await startWeir(t, [
    ...flags,
    '--manifests',
    folder,
    ...ports,
    '--nodeport-addresses=127.0.0.0/8,192.0.2.0/24',
  ]).serving()
  const check = async (): Promise<number> => (await get('http://192.0.2.10:32000/').catch(() => ({ status: 0 }))).status
  await eventually(check, (status) => status === 200)
  const answer = await get('http://192.0.2.10:32000/any/path')
  t.match(answer.headers, { 'x-load-balancing-endpoint-weight': '1', 'x-content-type-options': 'nosniff' })
  t.match(JSON.parse(answer.body), {
    service: { namespace: 'default', name: 'lb' },
    localEndpoints: 1,
    serviceProxyHealthy: true,
  })
  writeManifests(folder, 'lb.yaml', [
    service('lb', { ip: '10.96.0.9', nodePort: 30_009, spec, loadBalancerIP: '203.0.113.9' }),
    slice('lb', ['10.244.0.2']),
  ])
  await eventually(check, (status) => status === 503)
  t.equal(
    (await metrics(20249)).get(
      'kubeproxy_sync_proxy_rules_no_local_endpoints_total{ip_family="IPv4",traffic_policy="external"}',
    ),
    1,
  )
  for (const host of ['127.0.0.1', '[::1]', '192.0.2.10']) {
    t.match(await get(`http://${host}:20249/proxyMode`), { status: 200, body: 'nftables' }, host)
    t.equal((await get(`http://${host}:20256/livez`)).status, 200, host)
  }
  t.match(JSON.parse((await get('http://127.0.0.1:20249/configz')).body), {
    'kubeproxy.config.k8s.io': { metricsBindAddress: '0.0.0.0:20249', kind: 'KubeProxyConfiguration' },
  })
  const found = await metrics(20249)
  t.ok((found.get('weir_commits_total{ip_family="IPv4",kind="full",structure="true"}') ?? 0) >= 1)
  t.ok((found.get('kubeproxy_sync_proxy_rules_duration_seconds_count{ip_family="IPv6"}') ?? 0) >= 1)
  t.ok((found.get('kubeproxy_proxy_livez_total{code="200"}') ?? 0) >= 3)
  rmSync(join(folder, 'lb.yaml'))
  await eventually(check, (status) => status === 0)
  weir.signal('SIGTERM')
  t.equal((await weir.end('SIGTERM')).killer, null)
})

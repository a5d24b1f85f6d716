/** The program in mode userspace with nftables: its table, its sockets, and what becomes of both. */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { ownNamespace } from '../support/namespace.ts'
import { Scene } from '../support/scene.ts'
import { node, service, slice, writeManifests } from './cli-manifests.ts'
import { eventually, get, metrics, runWeir, sh, startWeir, temporaryFolder } from './cli-program.ts'

ownNamespace(import.meta.url)

const nodeIP = '192.0.2.10'
const vip = { address: '10.96.0.10', port: 80 }
const nodePort = { address: nodeIP, port: 30080 }
const dns = { protocol: 'UDP', address: '10.96.0.53', port: 53 } as const
const pods = ['10.244.0.2', '10.244.0.3']

const scene = await Scene.create()
t.teardown(() => scene.close())
const client = await scene.addHost('client', { ipv4: '198.51.100.7' })
for (const [i, ipv4] of pods.entries()) {
  const pod = await scene.addHost(`pod-${i}`, { ipv4 })
  await pod.listen('TCP', 8080)
  await pod.listen('UDP', 5353)
}
sh('ip route add 10.96.0.0/16 dev eth0')

const folder = temporaryFolder()
const web = (annotations = {}) => [
  service('web', { ip: vip.address, nodePort: 30080, annotations }),
  slice('web', pods),
]
writeManifests(folder, 'web.yaml', web())
writeManifests(folder, 'dns.yaml', [
  node('here', { addresses: [nodeIP, '2001:db8::10'] }),
  service('dns', { ip: dns.address, port: 53, protocol: 'UDP' }),
  slice('dns', pods, { port: 5353, protocol: 'UDP' }),
])
const flags = ['--proxy-mode=userspace', '--manifests', folder, '--hostname-override=here']

const answered = async (target: Parameters<typeof client.ask>[0]) => (await client.ask(target)).kind
const isServed = () =>
  eventually(
    () => answered({ ...vip, timeoutMs: 300 }),
    (kind) => kind === 'answered',
  )
const table = (family: 'ip' | 'ip6' = 'ip'): string => sh(`nft list table ${family} weir-userspace`)
/** `10.96.0.10 . tcp . 80` → 41234 */
const portOf = (key: string): number =>
  Number(new RegExp(`${key.replaceAll('.', '\\.')} : 192\\.0\\.2\\.10 \\. (\\d+)`).exec(table())?.[1])
const headings = async (): Promise<string> => (await runWeir(['status'])).stdout
const isGone = (): boolean => !sh('nft list tables').includes('weir-userspace')

t.test('serves by a table that nft lists and takes back', async (t) => {
  const weir = startWeir(t, flags)
  await weir.serving()
  await isServed()
  t.match(weir.log, /nftables leads the traffic of Services to this process/)
  for (const target of [vip, nodePort, dns]) t.equal(await answered(target), 'answered', target.address)
  for (const target of [vip, nodePort, { address: '127.0.0.1', port: 30080 }])
    t.equal((await scene.node.ask(target)).kind, 'answered', `from the node to ${target.address}`)
  const listed = sh('nft list ruleset')
  sh('nft -c -f -', listed)
  // It would write its table anew in between.
  weir.signal('SIGSTOP')
  sh('nft flush ruleset; nft -f -', listed)
  t.equal(sh('nft list ruleset').replaceAll(/\s+/g, '').length, listed.replaceAll(/\s+/g, '').length)
  weir.signal('SIGCONT')
  await eventually(
    () => weir.lines(/put right|repaired/i).length,
    (lines) => lines > 0,
  )
  t.equal(await answered(vip), 'answered')

  await t.test('the sockets are for nobody who was not translated', async (t) => {
    for (const key of ['10.96.0.10 . tcp . 80', '10.96.0.53 . udp . 53']) {
      const port = portOf(key)
      t.ok(port > 1023, `${key} at ${port}`)
      const protocol = key.includes('udp') ? 'UDP' : 'TCP'
      const straight = { protocol, address: nodeIP, port, timeoutMs: 250 } as const
      t.equal((await client.ask(straight)).kind, 'timeout', `${key}, from outside`)
      t.equal((await scene.node.ask(straight)).kind, 'timeout', `${key}, from the node`)
    }
  })

  await t.test('what somebody else takes away comes back', async () => {
    sh('nft delete table ip weir-userspace')
    await isServed()
    const port = portOf('10.96.0.10 . tcp . 80')
    sh(`nft delete element ip weir-userspace services '{ 10.96.0.10 . tcp . 80 }'`)
    await isServed()
    t.equal(portOf('10.96.0.10 . tcp . 80'), port, 'the socket stayed the same one')
  })

  await t.test('a change writes only what differs', async (t) => {
    writeManifests(folder, 'more.yaml', [service('more', { ip: '10.96.0.11' }), slice('more', pods)])
    const more = { address: '10.96.0.11', port: 80 }
    await eventually(
      () => answered({ ...more, timeoutMs: 300 }),
      (kind) => kind === 'answered',
    )
    writeManifests(folder, 'more.yaml', [service('more', { ip: '10.96.0.11' })])
    await eventually(
      () => answered({ ...more, timeoutMs: 300 }),
      (kind) => kind === 'refused',
    )
    t.match(table(), /10\.96\.0\.11 \. tcp \. 80 : goto refuse/)
    rmSync(join(folder, 'more.yaml'))
    await eventually(table, (text) => !text.includes('10.96.0.11'))
    const series = await metrics()
    t.equal(series.get('weir_commits_total{ip_family="IPv4",kind="partial",structure="true"}'), undefined)
    t.ok((series.get('weir_commits_total{ip_family="IPv4",kind="partial",structure="false"}') ?? 0) >= 3)
  })

  await t.test(
    'an endpoint with the address and port of its Service is reached, not asked again and again',
    async (t) => {
      await scene.node.listen('TCP', 8090)
      const own = service('own', { ip: '10.96.0.12', port: 8090, spec: { externalIPs: [nodeIP] } })
      writeManifests(folder, 'own.yaml', [own, slice('own', [nodeIP], { port: 8090 })])
      await eventually(table, (text) => text.includes('10.96.0.12'))
      for (const address of [nodeIP, '10.96.0.12'])
        t.match(await client.ask({ address, port: 8090 }), { kind: 'answered', name: 'node' }, address)
      t.match(await scene.node.ask({ address: nodeIP, port: 8090 }), { kind: 'answered', name: 'node' })
      const total = (await metrics()).get(
        'weir_userspace_connections_total{service_port="default/own:main",ip_family="IPv4",protocol="tcp",result="forwarded"}',
      )
      t.equal(total, 2, 'no connection came back')
    },
  )

  await t.test('weir status and the metrics know the connections', async (t) => {
    const { connection } = await client.hold(vip)
    const text = await runWeir(['status'])
    t.equal(text.status, 0)
    t.match(text.stdout, /default\/web:main\/tcp {2}IPv4 {2}10\.96\.0\.10:80 {2}NodePort 30080 {2}random/)
    t.match(text.stdout, /connections?, of these [01] UDP session/)
    const json = await runWeir(['status', '--json'])
    const document = JSON.parse(json.stdout)
    t.match(document, { mode: 'userspace', reach: 'redirect', process: { threads: 1, pausedThreads: 0 } })
    t.match(JSON.parse((await get('http://127.0.0.1:10249/weir/status')).body), { mode: 'userspace' })
    const labels = 'service_port="default/web:main",ip_family="IPv4",protocol="tcp"'
    t.equal((await metrics()).get(`weir_userspace_connections{${labels},state="active"}`), 1)
    await client.release(connection)
    await eventually(
      async () => (await metrics()).get(`weir_userspace_connections{${labels},state="active"}`),
      (active) => active === 0,
    )
  })

  await t.test('connections are limited by annotation', async (t) => {
    writeManifests(folder, 'web.yaml', web({ 'weir.dev/max-connections': '1' }))
    await eventually(headings, (text) => text.includes('at most 1 connection'))
    const held = await client.hold(vip)
    t.equal(held.outcome.kind, 'answered')
    t.not((await client.ask({ ...vip, timeoutMs: 1000 })).kind, 'answered', 'one more is turned away')
    await client.release(held.connection)
    writeManifests(folder, 'web.yaml', web())
    await eventually(headings, (text) => !text.includes('at most'))
  })

  await t.test('the end waits for connections, takes no new ones, and leaves the table', async (t) => {
    const held = await client.hold(vip)
    t.equal(held.outcome.kind, 'answered')
    const port = portOf('10.96.0.10 . tcp . 80')
    weir.signal('SIGTERM')
    await weir.says(/Waiting for connections to end/)
    await eventually(
      () => answered({ ...vip, timeoutMs: 1000 }),
      (kind) => kind === 'refused',
    )
    t.equal((await client.again(held.connection)).kind, 'answered', 'a connection goes on')
    await client.release(held.connection)
    t.equal((await weir.ended).status, 0)
    t.equal(portOf('10.96.0.10 . tcp . 80'), port)
    t.equal(await answered({ ...vip, timeoutMs: 1000 }), 'refused', 'nobody hangs while weir is away')

    const next = startWeir(t, flags)
    await isServed()
    t.equal(portOf('10.96.0.10 . tcp . 80'), port, 'a restart takes the same ports, so that UDP flows go on')
    await next.end('SIGKILL')
  })
})

t.test('gives way to another mode, and takes over from it', async (t) => {
  const other = startWeir(t, ['--proxy-mode=nftables', ...flags.slice(1)])
  await eventually(isGone, (gone) => gone)
  t.equal(await answered(vip), 'answered')
  await other.says(/removed what weir had left: nftables tables ip weir-userspace, ip6 weir-userspace/)
  await other.end()
  const weir = startWeir(t, flags)
  await weir.says(/removed what weir had left: nftables tables ip weir, ip6 weir/)
  await isServed()
  await weir.end()
  t.equal((await runWeir(['cleanup'])).status, 0)
  t.ok(isGone())
})

t.test('--once is refused, always needs nftables, and render needs neither', async (t) => {
  t.match((await runWeir([...flags, '--once'])).stderr, /--once makes no sense in mode userspace/)
  const without = { through: ['setpriv', '--bounding-set=-net_admin', '--inh-caps=-net_admin'] }
  const always = await runWeir([...flags, '--userspace-redirect=always'], without)
  t.equal(always.status, 1)
  t.match(always.stderr, /CAP_NET_ADMIN is needed/)
  const rendered = await runWeir(['render', ...flags], without)
  t.equal(rendered.status, 0)
  sh('nft -c -f -', rendered.stdout)
})

/** The program: flows of clients that do not pause, across changes and restarts, and what /metrics and the log say of it. */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { ownNamespace } from '../support/namespace.ts'
import { Scene } from '../support/scene.ts'
import { node, service, slice, writeManifests } from './cli-manifests.ts'
import { eventually, get, runWeir, sh, startWeir, temporaryFolder } from './cli-program.ts'

ownNamespace(import.meta.url)

const dns = { protocol: 'UDP', address: '10.96.0.53', port: 53, sourcePort: 42_001, timeoutMs: 100 } as const
const statsd = { ...dns, address: '10.96.0.25', port: 8125, sourcePort: 42_002 } as const
const pods = { 'pod-1': '10.244.0.1', 'pod-2': '10.244.0.2' } as const

const scene = await Scene.create()
t.teardown(() => scene.close())
const client = await scene.addHost('client', { ipv4: '198.51.100.7' })
for (const [name, ipv4] of Object.entries(pods)) await (await scene.addHost(name, { ipv4 })).listen('UDP', 5353)
// Something else always needs conntrack on a node; here, nothing would when our rules are gone.
sh('nft "table ip other { chain c { type filter hook prerouting priority 300; ct state new; }; }"')
sh('ip route add 10.96.0.0/16 dev eth0')

const folder = temporaryFolder()
const write = (
  name: string,
  { address, port }: typeof dns | typeof statsd,
  ...names: readonly (keyof typeof pods)[]
): void =>
  writeManifests(folder, `${name}.yaml`, [
    service(name, { ip: address, port, protocol: 'UDP' }),
    slice(
      name,
      names.map((each) => pods[each]),
      { port: 5353, protocol: 'UDP' },
    ),
  ])
const answer = async (ask: typeof dns | typeof statsd): Promise<string> => {
  const outcome = await client.ask(ask)
  return outcome.kind === 'answered' ? outcome.name : outcome.kind
}
const entry = ({ sourcePort }: typeof dns | typeof statsd): string =>
  sh(`conntrack -L -p udp --sport ${sourcePort} -o id 2>/dev/null || true`).trim()
const idOf = (ask: typeof dns | typeof statsd): string | undefined => /\bid=(\d+)/.exec(entry(ask))?.[1]

for (const mode of ['nftables', 'iptables', 'userspace'] as const) {
  const flags = [`--proxy-mode=${mode}`, '--manifests', folder, '--hostname-override=here', '-v=4']
  await t.test(`mode ${mode}`, async (t) => {
    writeManifests(folder, 'node.yaml', [node('here', { addresses: ['192.0.2.10'] })])
    write('dns', dns, 'pod-1')
    write('statsd', statsd, 'pod-1')
    const weir = await startWeir(t, flags).serving()
    await eventually(
      () => answer(dns),
      (name) => name === 'pod-1',
    )
    await eventually(
      () => answer(statsd),
      (name) => name === 'pod-1',
    )
    const before = idOf(statsd)

    write('dns', dns)
    await eventually(
      () => answer(dns),
      (name) => name === 'refused',
    )
    t.equal(entry(dns), '', 'no endpoint, no entry')
    write('dns', dns, 'pod-2')
    await eventually(
      () => answer(dns),
      (name) => name === 'pod-2',
    )
    t.equal(await answer(statsd), 'pod-1')
    t.equal(idOf(statsd), before, 'the flow of another Service is none of it')

    rmSync(join(folder, 'dns.yaml'))
    await eventually(
      () => answer(dns),
      (name) => name !== 'pod-2' && name !== 'refused',
    )
    t.notMatch(entry(dns), /10\.244|192\.0\.2\.10/, 'a Service that is gone keeps no flow')
    write('dns', dns, 'pod-2')
    await eventually(
      () => answer(dns),
      (name) => name === 'pod-2',
    )

    const metrics = (await get('http://127.0.0.1:10249/metrics')).body
    const sample = (name: string): number =>
      Number(new RegExp(`^${name}(?:\\{.*IPv4.*\\})? (\\S+)$`, 'm').exec(metrics)?.[1])
    t.ok(sample('kubeproxy_conntrack_reconciler_deleted_entries_total') >= 2)
    t.ok(sample('kubeproxy_conntrack_reconciler_sync_duration_seconds_count') >= 3)
    t.equal(sample('weir_conntrack_entries_limit'), Number(sh('cat /proc/sys/net/netfilter/nf_conntrack_max')))
    t.ok(sample('weir_conntrack_entries') >= 2)
    t.equal(sample('weir_conntrack_insert_failed_total'), 0)
    t.same(weir.lines(/Could not delete stale flows/), [])
    t.equal(
      (await weir.end(mode === 'userspace' ? 'SIGKILL' : 'SIGTERM')).killer,
      mode === 'userspace' ? 'SIGKILL' : null,
    )

    write('dns', dns, 'pod-1')
    const again = await startWeir(t, flags).serving()
    await eventually(
      () => answer(dns),
      (name) => name === 'pod-1',
    )
    t.equal(await answer(statsd), 'pod-1')
    t.equal(idOf(statsd), before, 'a live flow has the entry that it had before the restart')
    await again.end()

    if (mode !== 'userspace') {
      write('dns', dns, 'pod-2')
      t.equal((await runWeir([...flags, '--once'])).status, 0)
      t.equal(await answer(dns), 'pod-2', 'also with --once')
    }
    await runWeir(['cleanup', `--proxy-mode=${mode}`])
    sh('conntrack -F')
  })
}

/**
 * For the guest: what the program in mode ipvs writes and removes, and changes of mode, judged by the kernel's own tools. Prints
 * what was found and what should have been (comparison.ts).
 */
import { eventually, get, metrics, runWeir, sh, startWeir } from '../kernel/cli-program.ts'
import { drops } from '../support/netlink-drops.ts'
import { addresses, flags, ipvs, lines, servers, setUp, state, succeeds, writeCluster } from './cli-state.ts'
import { writeComparison } from './comparison.ts'

setUp()
// Somebody else's: they stay throughout.
sh('ipvsadm -A -t 203.0.113.1:80 -s rr && ipvsadm -a -t 203.0.113.1:80 -r 203.0.113.2:80 -m')
sh('ipset create mine hash:ip; iptables-legacy -A FORWARD -d 203.0.113.9 -j ACCEPT')
const foreign = state()

// What --once writes.
await succeeds('--once', [...ipvs, '--once'])
const wanted = [
  '-A -t 10.96.0.10:80 -s rr',
  '-A -t 192.0.2.10:30080 -s rr',
  '-A -t [fd00:96::10]:80 -s rr',
  '-A -u 10.96.0.11:53 -s wlc',
  '-a -t 10.96.0.10:80 -r 10.244.0.1:8080 -m -w 1',
  '-a -t 10.96.0.10:80 -r 10.244.0.2:8080 -m -w 1',
  '-a -t 192.0.2.10:30080 -r 10.244.0.1:8080 -m -w 1',
  '-a -t 192.0.2.10:30080 -r 10.244.0.2:8080 -m -w 1',
  '-a -t [fd00:96::10]:80 -r [fd00:244::1]:8080 -m -w 1',
  '-a -u 10.96.0.11:53 -r 10.244.0.9:5353 -m -w 1',
]
const fresh = state()
writeComparison('virtual servers', fresh.servers, [...foreign.servers, ...wanted].toSorted())
writeComparison('addresses', fresh.addresses, ['10.96.0.10/32', '10.96.0.11/32', 'fd00:96::10/128'])
writeComparison(
  'sets',
  fresh.sets.filter((line) => line.startsWith('add KUBE-')),
  [
    'add KUBE-6-CLUSTER-IP fd00:96::10,tcp:80',
    'add KUBE-6-IPVS-IPS fd00:96::10',
    'add KUBE-CLUSTER-IP 10.96.0.10,tcp:80',
    'add KUBE-CLUSTER-IP 10.96.0.11,udp:53',
    'add KUBE-IPVS-IPS 10.96.0.10',
    'add KUBE-IPVS-IPS 10.96.0.11',
    'add KUBE-NODE-PORT-TCP 30080',
  ],
)
const rendered = await runWeir(['render', ...ipvs])
writeComparison(
  'weir render says the same',
  lines(rendered.stdout)
    .filter((line) => /^-[Aa] -[tu] /.test(line))
    .toSorted(),
  wanted,
)

// The process that stays.
const weir = await startWeir({ teardown: () => {} }, [...ipvs, '--ipvs-scheduler=lc']).serving()
await eventually(servers, (found) => found.includes('-A -t 10.96.0.10:80 -s lc'))
writeComparison('/proxyMode', (await get('http://127.0.0.1:10249/proxyMode')).body, 'ipvs')
writeCluster(['10.244.0.2', '10.244.0.3'])
const moved = (found: readonly string[]): boolean =>
  found.some((line) => line.includes('10.244.0.3:')) && !found.some((line) => line.includes('10.244.0.1:'))
writeComparison('a change arrives', moved(await eventually(servers, moved)), true)
sh('ip addr del 10.96.0.10/32 dev kube-ipvs0')
const restored = await eventually(addresses, (found) => found.includes('10.96.0.10/32'))
writeComparison('what somebody else takes away comes back', restored, fresh.addresses)
weir.signal('SIGSTOP')
for (const verb of ['add', 'del'])
  sh(
    'ip -batch -',
    Array.from({ length: 9_000 }, (_, i) => `addr ${verb} 10.9.${i >> 8}.${i & 255}/32 dev node0\n`).join(''),
  )
sh('ip addr del 10.96.0.11/32 dev kube-ipvs0')
writeComparison('more is told than the program hears', drops(weir.pid, 'route') > 0, true)
weir.signal('SIGCONT')
const found = await eventually(addresses, (now) => now.includes('10.96.0.11/32'))
writeComparison('what it did not hear of it finds out', found, fresh.addresses)
const series = await metrics()
writeComparison(
  'metrics',
  [
    'weir_ipvs_virtual_servers{ip_family="IPv4"}',
    'weir_ipvs_real_servers{ip_family="IPv4"}',
    'weir_ipvs_draining_real_servers{ip_family="IPv6"}',
  ].map((name) => series.get(name)),
  [3, 5, 0],
)
const { body: scrape } = await get('http://127.0.0.1:10249/metrics')
writeComparison(
  "kube-proxy's metrics of this mode",
  [
    'sync_proxy_rules_iptables_restore_failures_total',
    'sync_proxy_rules_iptables_total',
    'sync_full_proxy_rules_duration_seconds',
  ].filter((name) => scrape.includes(`# TYPE kubeproxy_${name} `)),
  ['sync_proxy_rules_iptables_restore_failures_total'],
)
const before = state()
const ended = await weir.end()
const complaints = weir.lines(/^[WE]/).filter((line) => !/nodePortAddresses is unset|Repaired/.test(line))
writeComparison('SIGTERM', { status: ended.status, complaints }, { status: 0, complaints: [] })
writeComparison('everything stays', state(), before)

// To another mode, and back.
writeCluster(['10.244.0.1', '10.244.0.2'])
await succeeds('--cleanup', ['--cleanup'])
writeComparison('--cleanup leaves what is not ours', state(), foreign)

// What weir render prints, loaded by the tools that it names.
for (const [, tool = '', text = ''] of rendered.stdout.matchAll(/^# IPv[46]: (.*)\n((?:(?!# IPv[46]: ).*\n)*)/gm))
  sh(tool.replace('tables-', 'tables-legacy-'), text)
const loaded = () => ({ ...state(), bytes: sh('ip addr show dev kube-ipvs0; ipset save') })
const byTools = loaded()
writeComparison(
  'the tools load what weir render prints',
  { servers: byTools.servers, addresses: byTools.addresses, rules: byTools.rules },
  { servers: fresh.servers, addresses: fresh.addresses, rules: fresh.rules },
)
await succeeds('--once after it', [...ipvs, '--once'])
writeComparison('and it is as it should be', loaded(), byTools)
await succeeds('--cleanup after that', ['--cleanup'])
const iptables = ['--proxy-mode=iptables', '--iptables-ipset', ...flags, '--once']
await succeeds('mode iptables', iptables)
const inIptables = state()
await succeeds('mode ipvs after it', [...ipvs, '--once'])
writeComparison('mode iptables leaves nothing behind', state(), fresh)
await succeeds('mode iptables after that', iptables)
// Rules that both modes have stay where they were among the hooks.
const unordered = (of: ReturnType<typeof state>) => ({ ...of, rules: of.rules.toSorted() })
writeComparison('mode ipvs leaves nothing behind', unordered(state()), unordered(inIptables))

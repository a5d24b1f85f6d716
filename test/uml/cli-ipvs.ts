/**
 * For the guest: the program in mode ipvs, over a folder of manifests, judged by the kernel's own tools. Prints what was found and
 * what should have been (comparison.ts).
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { node, service, slice, writeManifests } from '../kernel/cli-manifests.ts'
import { eventually, get, metrics, runWeir, sh, startWeir, temporaryFolder } from '../kernel/cli-program.ts'
import { writeComparison } from './comparison.ts'

const folder = temporaryFolder()
const flags = ['--manifests', folder, '--hostname-override=guest', '--cluster-cidr=10.244.0.0/16,fd00:244::/64']
const ipvs = ['--proxy-mode=ipvs', ...flags]
const untracked = ['max-per-core', 'tcp-timeout-established', 'tcp-timeout-close-wait'].map(
  (name) => `--conntrack-${name}=0`,
)

const writeCluster = (pods: readonly string[]): void =>
  writeManifests(folder, 'cluster.yaml', [
    node('guest', { addresses: ['192.0.2.10', '2001:db8::10'] }),
    service('web', { ip: '10.96.0.10', nodePort: 30_080 }),
    slice('web', pods),
    service('dns', { ip: '10.96.0.11', port: 53, protocol: 'UDP', annotations: { 'weir.dev/scheduler': 'wlc' } }),
    slice('dns', ['10.244.0.9'], { port: 5353, protocol: 'UDP' }),
    service('six', { ip: 'fd00:96::10' }),
    slice('six', ['fd00:244::1'], { addressType: 'IPv6' }),
  ])

const lines = (text: string): readonly string[] => text.split('\n').filter((line) => line !== '')
const servers = (): readonly string[] => [...lines(sh('ipvsadm -Sn'))].sort()
const addresses = (): readonly string[] =>
  [...sh('ip -o addr show dev kube-ipvs0 2>/dev/null || true').matchAll(/inet6? (?!fe80:)(\S+)/g)]
    .map(([, cidr = '']) => cidr)
    .sort()
/** Rules and chains that are not built in, each with its program and table, in order. */
const rules = (): readonly string[] =>
  ['iptables', 'ip6tables'].flatMap((program) => {
    let table = ''
    return lines(sh(`${program}-legacy-save`).replace(/ \[\d+:\d+\]$/gm, '')).flatMap((line) => {
      if (line.startsWith('*')) table = line.slice(1)
      return /^(?:-A|:.* -$)/.test(line) ? [`${program} ${table} ${line}`] : []
    })
  })
/** Everything that a mode has in the kernel. */
const state = () => ({
  servers: servers(),
  addresses: addresses(),
  device: sh('ip -br link show kube-ipvs0 2>/dev/null | wc -l').trim(),
  sets: lines(sh('ipset save').replace(/ (?:initval|hashsize) \S+/g, '')).toSorted(),
  rules: rules(),
})

const last = (text: string): string => lines(text).at(-1) ?? ''
const sysctl = (name: string): string => readFileSync(`/proc/sys/${name}`, 'utf8').trim()
const setModprobe = (path: string): void => writeFileSync('/proc/sys/kernel/modprobe', path)

const fails = async (name: string, args: readonly string[], line: string): Promise<void> => {
  const { status, stdout, stderr } = await runWeir(args)
  writeComparison(name, { status, stdout, last: last(stderr) }, { status: 1, stdout: '', last: `weir: ${line}` })
}

const succeeds = async (name: string, args: readonly string[]): Promise<string> => {
  const { status, stdout, stderr } = await runWeir(args)
  writeComparison(name, { status, stderr: status === 0 ? '' : stderr }, { status: 0, stderr: '' })
  return stdout + stderr
}

sh(
  'ip link add node0 type bridge && ip addr add 192.0.2.10/24 dev node0 && ip addr add 2001:db8::10/64 dev node0 nodad',
)
sh('ip link set node0 up')
writeCluster(['10.244.0.1', '10.244.0.2'])

// What the kernel lacks, and then has.
const modprobe = sysctl('kernel/modprobe')
const lacking = async (name: string, line: string): Promise<void> => {
  setModprobe('/bin/false')
  await fails(name, [...ipvs, ...untracked, '--once'], line)
  setModprobe(modprobe)
}
await lacking('without IPVS', 'the kernel has no IPVS: module ip_vs cannot be loaded')
// Somebody else's: they stay throughout.
sh('ipvsadm -A -t 203.0.113.1:80 -s rr && ipvsadm -a -t 203.0.113.1:80 -r 203.0.113.2:80 -m')
await lacking(
  'without ipset',
  'mode ipvs needs ipsets, which cannot be had: destroy WEIR-4-PROBE: the kernel has no ipset',
)
sh('ipset create mine hash:ip; iptables-legacy -A FORWARD -d 203.0.113.9 -j ACCEPT')
await lacking(
  'without a type of sets',
  'mode ipvs needs ipsets, which cannot be had: create WEIR-4-PROBE: the kernel does not have this type of set (IPSET_ERR_FIND_TYPE)',
)
await fails(
  'without the scheduler',
  [...ipvs, '--once', '--ipvs-scheduler=nonsense'],
  'the kernel has no scheduler "nonsense": module ip_vs_nonsense cannot be loaded',
)
const foreign = state()
writeComparison('nothing was written', foreign, {
  servers: ['-A -t 203.0.113.1:80 -s rr', '-a -t 203.0.113.1:80 -r 203.0.113.2:80 -m -w 1'],
  addresses: [],
  device: '0',
  sets: ['create mine hash:ip family inet maxelem 65536 bucketsize 12'],
  rules: ['iptables filter -A FORWARD -d 203.0.113.9/32 -j ACCEPT'],
})

// --init-only.
const settings = ['--ipvs-tcp-timeout=10m', '--ipvs-udp-timeout=1m', '--ipvs-strict-arp', '--conntrack-udp-timeout=7s']
const limits = ['--conntrack-max-per-core=100000', '--conntrack-min=1']
const initial = await succeeds('--init-only', ['--init-only', ...ipvs, ...settings, ...limits])
writeComparison(
  'what --init-only says',
  initial,
  `weir: done for --init-only: ${[
    'nf_conntrack_max is 100000',
    'tcp_timeout_established is 86400 s',
    'tcp_timeout_close_wait is 3600 s',
    'udp_timeout is 7 s',
    'net.ipv4.vs.conntrack is 1',
    'net.ipv4.vs.expire_nodest_conn is 1',
    'net.ipv4.vs.expire_quiescent_template is 1',
    'net.ipv4.ip_forward is 1',
    'net.ipv4.conf.all.arp_ignore is 1',
    'net.ipv4.conf.all.arp_announce is 2',
  ].join(', ')}\n`,
)
writeComparison(
  'what --init-only sets',
  {
    max: sysctl('net/netfilter/nf_conntrack_max'),
    buckets: Number(readFileSync('/sys/module/nf_conntrack/parameters/hashsize', 'utf8')) >= 25_000,
    established: sysctl('net/netfilter/nf_conntrack_tcp_timeout_established'),
    udp: sysctl('net/netfilter/nf_conntrack_udp_timeout'),
    vs: ['conntrack', 'expire_nodest_conn', 'expire_quiescent_template'].map((name) => sysctl(`net/ipv4/vs/${name}`)),
    arp: [sysctl('net/ipv4/conf/all/arp_ignore'), sysctl('net/ipv4/conf/all/arp_announce')],
    timeouts: sh('ipvsadm -L --timeout').trim(),
  },
  {
    max: '100000',
    buckets: true,
    established: '86400',
    udp: '7',
    vs: ['1', '1', '1'],
    arp: ['1', '2'],
    timeouts: 'Timeout (tcp tcpfin udp): 600 120 60',
  },
)
writeComparison('--init-only writes no rules', state(), foreign)

// Where /proc and /sys are read-only, as in a container without privileges.
const readOnly = (on: boolean): void => {
  for (const path of ['/proc/sys', '/sys'])
    sh(on ? `mount --bind ${path} ${path} && mount -o remount,bind,ro ${path}` : `umount ${path}`)
}
readOnly(true)
await succeeds('once set up, no right to sysctls is needed', [...ipvs, ...settings, ...limits, '--once'])
await fails(
  'a limit that cannot be set',
  [...ipvs, ...settings, '--once'],
  'cannot do what conntrack.maxPerCore asks for: write net/netfilter/nf_conntrack_max = 131072: EROFS, it is mounted read-only; --init-only in a privileged init container sets it beforehand, conntrack.maxPerCore: 0 leaves it alone',
)
readOnly(false)
writeFileSync('/proc/sys/net/ipv4/vs/conntrack', '0')
readOnly(true)
await fails(
  'a sysctl of IPVS that cannot be set',
  [...ipvs, ...settings, ...limits, '--once'],
  'mode ipvs needs what cannot be set: write net/ipv4/vs/conntrack = 1: EROFS, it is mounted read-only; --init-only in a privileged init container sets it beforehand',
)
readOnly(false)

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
const iptables = ['--proxy-mode=iptables', '--iptables-ipset', ...flags, '--once']
await succeeds('mode iptables', iptables)
const inIptables = state()
await succeeds('mode ipvs after it', [...ipvs, '--once'])
writeComparison('mode iptables leaves nothing behind', state(), fresh)
await succeeds('mode iptables after that', iptables)
// Rules that both modes have stay where they were among the hooks.
const unordered = (of: ReturnType<typeof state>) => ({ ...of, rules: of.rules.toSorted() })
writeComparison('mode ipvs leaves nothing behind', unordered(state()), unordered(inIptables))
await succeeds('mode ipvs again', [...ipvs, '--once'])
await succeeds('--cleanup from mode ipvs', ['--cleanup'])
writeComparison('--cleanup leaves what is not ours again', state(), foreign)

sh('rmmod dummy')
await lacking(
  'without dummy devices',
  'mode ipvs needs a dummy device kube-ipvs0, which cannot be had: the kernel has no dummy devices (module dummy)',
)
sh('ip link add kube-ipvs0 type bridge')
await fails(
  'a device of another kind',
  [...ipvs, '--once'],
  'mode ipvs needs a dummy device kube-ipvs0, which cannot be had: an interface of another kind has that name',
)

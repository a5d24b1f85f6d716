/**
 * For the guest: the start of the program in mode ipvs, in a kernel that lacks one thing after another, and without rights. Prints
 * what was found and what should have been (comparison.ts).
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { sh } from '../kernel/cli-program.ts'
import { fails, ipvs, setUp, state, succeeds, sysctl } from './cli-state.ts'
import { writeComparison } from './comparison.ts'

const untracked = ['max-per-core', 'tcp-timeout-established', 'tcp-timeout-close-wait'].map(
  (name) => `--conntrack-${name}=0`,
)
const setModprobe = (path: string): void => writeFileSync('/proc/sys/kernel/modprobe', path)

setUp()
const limit = '/proc/sys/net/netfilter/nf_conntrack_max'
writeComparison('connection tracking is not loaded', existsSync(limit), false)
await succeeds('it is loaded, and set up', ['--init-only', '--proxy-mode=nftables'])
writeComparison('the limit', sysctl('net/netfilter/nf_conntrack_max'), '131072')

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

await succeeds('--cleanup', ['--cleanup'])
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

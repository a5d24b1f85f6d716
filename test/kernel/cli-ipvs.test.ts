import t from 'tap'
import { NetlinkIpvs } from '../../src/kernel/ipvs/netlink-ipvs.ts'
import { ownNamespace } from '../support/namespace.ts'
import { service, slice, writeManifests } from './cli-manifests.ts'
import { runWeir, sh, temporaryFolder } from './cli-program.ts'

ownNamespace(import.meta.url)

const { signal } = new AbortController()
const kernel = new NetlinkIpvs()
// Where there is IPVS, uml-cli-ipvs.test.ts shows what becomes of a kernel without.
const hasIpvs = await kernel.timeouts(signal).then(
  () => true,
  () => false,
)
kernel.close()

const folder = temporaryFolder()
writeManifests(folder, 'all.yaml', [
  service('web', {
    ip: '10.96.0.10',
    annotations: { 'weir.dev/scheduler': 'sed', 'weir.dev/weights': '{"10.244.0.2": 3}' },
  }),
  slice('web', ['10.244.0.1', '10.244.0.2']),
  service('six', { ip: 'fd00:96::10', port: 53, protocol: 'UDP', annotations: { 'weir.dev/scheduler': 'random' } }),
  slice('six', ['fd00:244::1'], { port: 5353, protocol: 'UDP', addressType: 'IPv6' }),
])
const flags = ['--proxy-mode=ipvs', '--manifests', folder, '--hostname-override=node-1']

t.test('a kernel without IPVS ends it with one line', { skip: hasIpvs }, async (t) => {
  for (const action of ['--once', '--init-only', '--oom-score-adj=0']) {
    const { status, stdout, stderr } = await runWeir([...flags, action])
    t.equal(status, 1)
    t.equal(stdout, '')
    t.match(stderr, /(?:^|\n)weir: the kernel has no IPVS: module ip_vs cannot be loaded\n$/)
    t.equal(stderr.split('\n').filter((line) => line.startsWith('weir: ')).length, 1, stderr)
  }
  t.notMatch(sh('nft list ruleset; ipset list -n'), /KUBE|WEIR/, 'nothing was written')
  t.match(await runWeir(['--cleanup']), { status: 0, stdout: '', stderr: '' }, 'nor does clean-up need it')
})

t.test('weir render needs no IPVS', async (t) => {
  const { status, stdout, stderr } = await runWeir(['render', ...flags, '--ipvs-scheduler=lc'])
  t.equal(status, 0, stderr)
  t.same(
    stdout.split('\n').filter((line) => /^#|^-[Aa] -[tu] /.test(line)),
    [
      '# IPv4: ipset restore',
      '# IPv4: iptables-restore --noflush',
      '# IPv4: ipvsadm -R',
      '-A -t 10.96.0.10:80 -s sed',
      '-a -t 10.96.0.10:80 -r 10.244.0.1:8080 -m -w 1',
      '-a -t 10.96.0.10:80 -r 10.244.0.2:8080 -m -w 3',
      '# IPv4: ip -batch -',
      '# IPv6: ipset restore',
      '# IPv6: ip6tables-restore --noflush',
      '# IPv6: ipvsadm -R',
      '-A -u [fd00:96::10]:53 -s lc',
      '-a -u [fd00:96::10]:53 -r [fd00:244::1]:5353 -m -w 1',
      '# IPv6: ip -batch -',
    ],
  )
})

t.test('limits of conntrack in a network namespace that is not the first', async (t) => {
  const limit = sh('cat /proc/sys/net/netfilter/nf_conntrack_max').trim()
  const { status, stdout, stderr } = await runWeir([
    '--init-only',
    '--proxy-mode=nftables',
    '--conntrack-udp-timeout=9s',
  ])
  t.equal(status, 0, stderr)
  t.equal(stdout, '')
  t.match(
    stderr,
    /^weir: done for --init-only: nf_conntrack_max stays at \d+.*, tcp_timeout_established is 86400 s, tcp_timeout_close_wait is 3600 s, udp_timeout is 9 s\n$/,
  )
  t.equal(sh('cat /proc/sys/net/netfilter/nf_conntrack_max').trim(), limit)
  t.equal(sh('cat /proc/sys/net/netfilter/nf_conntrack_udp_timeout').trim(), '9')
  const off = ['max-per-core', 'tcp-timeout-established', 'tcp-timeout-close-wait'].map(
    (name) => `--conntrack-${name}=0`,
  )
  t.match(await runWeir(['--init-only', '--proxy-mode=nftables', ...off]), {
    status: 0,
    stderr: 'weir: nothing to do for --init-only: mode nftables sets nothing that needs more privilege\n',
  })
})

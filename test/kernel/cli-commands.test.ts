import { execFile } from 'node:child_process'
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { ownNamespace } from '../support/namespace.ts'
import { node, service, slice, writeManifests } from './cli-manifests.ts'
import { elements, endpoints, get, runWeir, services, sh, startWeir, temporaryFolder } from './cli-program.ts'
import { kubeProxyRules, kubeProxyTables } from './takeover-fixture.ts'

ownNamespace(import.meta.url)

const root = temporaryFolder()
chmodSync(root, 0o755)
const folder = join(root, 'manifests')
mkdirSync(folder)
writeManifests(folder, 'web.yaml', [service('web', { ip: '10.96.0.10' }), slice('web', ['10.244.0.1', '10.244.0.2'])])
const manifests = ['--proxy-mode=nftables', '--manifests', folder]

const tables = (): readonly string[] => sh('nft list tables').trim().split('\n').filter(Boolean)

/** A failed command line says one thing, in one line, and shows nothing of the program's inside. */
const oneLine = (t: Test, { status, stderr }: { status: number | null; stderr: string }, line: RegExp): void => {
  t.equal(status, 1)
  const complaints = stderr.split('\n').filter((text) => text.startsWith('weir: '))
  t.equal(complaints.length, 1, stderr)
  t.match(complaints[0], line)
  t.notMatch(stderr, /^\s+at |Error:.*\n\s+at /m)
}

t.test('--once writes the rules of both families and leaves them', async (t) => {
  const { status, stdout, stderr } = await runWeir(['run', ...manifests, '--once'])
  t.equal(status, 0, stderr)
  t.equal(stdout, '')
  t.same(tables(), ['table ip weir', 'table ip6 weir'])
  t.same(services(), ['10.96.0.10 tcp 80'])
  t.same(endpoints(), ['10.96.0.10 tcp 80 0 10.244.0.1 8080', '10.96.0.10 tcp 80 1 10.244.0.2 8080'])
  t.same((await runWeir([...manifests, '--once'])).status, 0, 'and again, over its own rules')
})

t.test('what kube-proxy left goes at start, also with --once, and with cleanup', async (t) => {
  const leave = (): void => {
    sh('nft -f -', kubeProxyTables)
    sh('iptables-nft-restore --noflush', kubeProxyRules('IPv4', 'iptables'))
  }
  const isThere = (): boolean => /kube-proxy|KUBE-SVC/.test(sh('nft list tables; iptables-nft-save'))
  leave()
  t.equal(isThere(), true)
  const { status, stderr } = await runWeir([...manifests, '--once'])
  t.equal(status, 0)
  t.match(stderr, /removed what kube-proxy had left: 2 nftables tables, \d+ iptables chains, \d+ jumps/)
  t.equal(isThere(), false)
  leave()
  const cleanup = await runWeir(['cleanup'])
  t.equal(cleanup.status, 0)
  t.match(cleanup.stdout, /^removed what kube-proxy had left: 2 nftables tables/)
  t.equal(isThere(), false)
  t.notMatch(tables(), [/weir/])
})

t.test('cleanup of a clean node says nothing, and needs no nft for what is ours', async (t) => {
  const clean = { status: 0, stdout: '', stderr: '' }
  t.match(await runWeir(['cleanup']), clean)
  t.equal((await runWeir([...manifests, '--once'])).status, 0)
  t.match(await runWeir(['--cleanup'], { env: { PATH: '/nonexistent' } }), clean)
  t.notMatch(tables(), [/weir/])
})

t.test('render', async (t) => {
  t.test('needs no privilege, no nft and no network, and prints what run would write', async (t) => {
    const through = ['setpriv', '--reuid', '65534', '--clear-groups']
    const { status, stdout, stderr } = await runWeir(['render', ...manifests], { through })
    t.match({ status, stderr }, { status: 0, stderr: '' })
    t.match(stdout, /10\.96\.0\.10 \. tcp \. 80 .*goto/)
    t.match(stdout, /table ip6 weir/)
    t.notMatch((await runWeir(['render', '--family', 'ipv4', ...manifests])).stdout, /ip6/)
    const withoutNft = await runWeir(['render', ...manifests], { env: { PATH: '/nonexistent' } })
    t.equal(withoutNft.stdout, stdout)
  })

  t.test('is not cut, however large, and does not mind a reader that leaves', async (t) => {
    const folderOf = (count: number): string => {
      const many = join(root, `${count}`)
      mkdirSync(many)
      const all = Array.from({ length: count }, (_, i) => service(`s${i}`, { ip: `10.96.${i >> 8}.${i & 255}` }))
      writeManifests(many, 'all.yaml', all)
      return many
    }
    const { status, stdout } = await runWeir(['render', '--proxy-mode=nftables', '--manifests', folderOf(20_000)])
    t.equal(status, 0)
    t.equal(stdout.match(/comment "default\/s\d+:main"/g)?.length, 20_000)
    t.match(stdout.slice(-10), /}\n}\n$/)
    // More than a pipe holds.
    const large = folderOf(2_000)
    const bash = promisify(execFile)
    const main = new URL('../../src/cli/main.js', import.meta.url).pathname
    const command = `"${process.execPath}" "${main}" render --proxy-mode=nftables --manifests ${large}`
    const head = await bash('bash', ['-c', `${command} | head -1; echo "\${PIPESTATUS[0]}"`])
    t.same(head, { stdout: 'table ip weir\n0\n', stderr: '' })
    const full = await bash('bash', ['-c', `${command} > /dev/full; echo $?`])
    t.equal(full.stdout, '1\n')
    t.match(full.stderr, /^weir: cannot write to standard output: ENOSPC.*\n$/)
  })

  t.test('says where the manifests are wrong, and renders the others', async (t) => {
    const wrong = join(root, 'wrong')
    mkdirSync(wrong)
    writeManifests(wrong, 'a.yaml', [service('ok', { ip: '10.96.0.1' }), service('bad', { ip: '10.96.0.300' })])
    writeFileSync(join(wrong, 'half.yaml'), 'apiVersion: v1\nkind: Service\nmetadata: {name: "ha')
    const { status, stdout, stderr } = await runWeir(['render', '--proxy-mode=nftables', '--manifests', wrong])
    t.equal(status, 0)
    t.match(stdout, /10\.96\.0\.1 \. tcp/)
    t.match(stderr, /^weir: Service default\/bad: spec\.clusterIP.*10\.96\.0\.300/m)
    t.match(stderr, /^weir: File .*half\.yaml: line 3/m)
    t.equal(stderr.trim().split('\n').length, 2, stderr)
  })
})

t.test('what is missing or wrong ends it with one line', async (t) => {
  const wrapper = (name: string, script: string): Record<string, string> => {
    mkdirSync(join(root, name))
    writeFileSync(join(root, name, 'nft'), `#!/bin/sh\n${script}\n`, { mode: 0o755 })
    return { PATH: `${join(root, name)}:${process.env['PATH']}` }
  }
  const nft = sh('command -v nft').trim()
  const cases: readonly [string, RegExp, readonly string[], Parameters<typeof runWeir>[1]?][] = [
    ['no nft', /`nft` is not installed/, [...manifests, '--once'], { env: { PATH: '/nonexistent' } }],
    [
      'nft too old',
      /nft 0\.9\.8 is too old: 1\.0\.1 or newer/,
      manifests,
      { env: wrapper('old', 'echo "nftables v0.9.8 (E.D.S.)"') },
    ],
    [
      'kernel too old',
      /this kernel lacks something that weir's rules need: .*Operation not supported$/,
      manifests,
      {
        env: wrapper(
          'unable',
          `[ "$1" = --version ] && exec ${nft} --version
cat > /dev/null
printf '/dev/stdin:3:1-9: Error: Could not process rule: Operation not supported\\ntable ip x\\n^^^^^\\n' >&2
exit 1`,
        ),
      },
    ],
    [
      'another user',
      /CAP_NET_ADMIN is needed/,
      manifests,
      { through: ['setpriv', '--reuid', '65534', '--clear-groups'] },
    ],
    [
      'root without the capability',
      /CAP_NET_ADMIN is needed/,
      manifests,
      { through: ['setpriv', '--bounding-set', '-net_admin'] },
    ],
    ['a user namespace', /CAP_NET_ADMIN is needed/, manifests, { through: ['unshare', '--user', '--map-root-user'] }],
    [
      'cleanup without the capability',
      /CAP_NET_ADMIN is needed/,
      ['cleanup'],
      { through: ['setpriv', '--bounding-set', '-net_admin'] },
    ],
    ['no kubeconfig', /load kubeconfig \/nowhere: ENOENT/, ['--kubeconfig', '/nowhere']],
    ['an unreadable kubeconfig', /load kubeconfig \/proc\/self\/mem: /, ['--kubeconfig', '/proc/self/mem', '--once']],
    ['neither kubeconfig nor pod', /find the API server: .*KUBERNETES_SERVICE_HOST/, []],
    ['no folder', /read the directory \/nowhere: ENOENT/, ['--manifests', '/nowhere']],
    ['a file for a folder', /read the directory .*web\.yaml/, ['--manifests', join(folder, 'web.yaml'), '--once']],
    ['no such configuration', /cannot read the configuration file: ENOENT/, ['--config', '/nowhere']],
    ['render of nothing', /render needs objects: say where with --manifests DIR/, ['render', '--proxy-mode=nftables']],
    ['an unknown flag', /unknown flag: --nope/, ['--nope']],
    ['an unknown command', /unexpected argument: serve/, ['serve']],
    [
      'a place that cannot be written',
      /cannot write the configuration: ENOENT/,
      ['--proxy-mode=nftables', '--write-config-to', '/no/where'],
    ],
  ]
  for (const [name, line, args, options] of cases) {
    t.test(name, async (t) => oneLine(t, await runWeir(args, options), line))
  }
})

t.test('a wrong configuration has a line for each field', async (t) => {
  const file = join(root, 'wrong-config.yaml')
  writeFileSync(
    file,
    'apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nmode: eBPF\noomScoreAdj: 5000\n',
  )
  const { status, stderr } = await runWeir(['--config', file])
  t.equal(status, 1)
  t.match(stderr, /^weir: mode: Invalid value: "eBPF".*\nweir: oomScoreAdj: Invalid value: 5000.*\n$/)
})

t.test('what ends it is JSON where the log is', async (t) => {
  const { status, stderr } = await runWeir([
    '--proxy-mode=nftables',
    '--logging-format=json',
    '--kubeconfig',
    '/nowhere',
  ])
  t.equal(status, 1)
  const lines = stderr
    .trim()
    .split('\n')
    .map((line): unknown => JSON.parse(line))
  t.match(lines.at(-1), { level: 'fatal', msg: /^load kubeconfig \/nowhere: ENOENT/ })
})

t.test('CAP_NET_ADMIN is enough', async (t) => {
  const through = [
    'setpriv',
    '--reuid',
    '65534',
    '--clear-groups',
    '--inh-caps',
    '+net_admin',
    '--ambient-caps',
    '+net_admin',
  ]
  const { status, stderr } = await runWeir([...manifests, '--once'], { through })
  t.equal(status, 0, stderr)
  t.same(services(), ['10.96.0.10 tcp 80'])
})

t.test('--version, version, --help, --write-config-to, --init-only', async (t) => {
  for (const args of [['--version'], ['version'], ['run', '--version=true', '--proxy-mode=iptables']])
    t.match(await runWeir(args), {
      status: 0,
      stdout: /^weir v\d+\.\d+\.\d+ \(Kubernetes v1\.36\.\d+\)\n$/,
      stderr: '',
    })
  t.match(JSON.parse((await runWeir(['--version=raw'])).stdout), { node: process.version })
  t.match(await runWeir(['--help', '--nope']), { status: 0, stdout: /--manifests .*\n/, stderr: '' })
  const file = join(root, 'written.yaml')
  const written = await runWeir(['--write-config-to', file, '--cluster-cidr=10.0.0.0/8', '--proxy_mode', 'nftables'])
  t.match(written, { status: 0, stderr: '' })
  t.match(readFileSync(file, 'utf8'), /^clusterCIDR: 10\.0\.0\.0\/8$/m)
  t.match(await runWeir(['--config', file, '--write-config-to', '/dev/stdout']), {
    status: 0,
    stdout: readFileSync(file, 'utf8'),
  })
  t.match(await runWeir(['--init-only', '--proxy-mode=nftables']), { status: 0, stdout: '' })
})

t.test('a port that is taken', async (t) => {
  const taken = createServer().listen(10256, '127.0.0.1')
  const flags = [...manifests, '--healthz-bind-address=127.0.0.1:10256']
  await t.test('is fatal with --bind-address-hard-fail', async (t) => {
    const ended = await runWeir([...flags, '--bind-address-hard-fail'])
    oneLine(t, ended, /^weir: cannot listen 127\.0\.0\.1:10256: the address is in use$/)
  })
  await t.test('is said once without, tried again, and holds up nothing else', async (t) => {
    const weir = await startWeir(t, flags).serving()
    t.match(weir.lines(/in use/), [
      /Health server: cannot listen 127\.0\.0\.1:10256: the address is in use; trying again/,
    ])
    t.match(await get('http://127.0.0.1:10249/proxyMode'), { status: 200, body: 'nftables' })
    await new Promise((resolve) => taken.close(resolve))
    await weir.says(/Health server listens/)
    t.equal((await get('http://127.0.0.1:10256/livez')).status, 200)
    t.equal(weir.lines(/in use/).length, 1)
    t.equal((await weir.end()).status, 0)
  })
})

t.test('a single-stack node refuses what it cannot serve', async (t) => {
  sh('echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6; nft delete table ip6 weir')
  const ipv6 = join(root, 'ipv6')
  mkdirSync(ipv6)
  const [four, six] = ['192.0.2.1', '2001:db8::1']
  writeManifests(ipv6, 'node.yaml', [
    node('four', { addresses: [four], podCIDRs: ['2001:db8:1::/64'] }),
    node('six', { addresses: [six, four] }),
  ])
  const once = ['--proxy-mode=nftables', '--once', '--manifests', ipv6]
  oneLine(t, await runWeir([...once, '--hostname-override=six']), /no support for primary IP family IPv6/)
  oneLine(
    t,
    await runWeir([...once, '--hostname-override=four', '--cluster-cidr=2001:db8::/32']),
    /the cluster is IPv4-only, but clusterCIDR holds only IPv6 networks/,
  )
  const nodeCidr = '--detect-local-mode=NodeCIDR'
  oneLine(
    t,
    await runWeir([...once, '--hostname-override=four', nodeCidr]),
    /podCIDRs of the Node are only IPv6 networks/,
  )
  oneLine(t, await runWeir([...once, '--hostname-override=other', nodeCidr]), /no podCIDRs, which .* NodeCIDR needs/)
  const { status, stderr } = await runWeir([...once, '--hostname-override=four', '--metrics-bind-address=[::1]:10249'])
  t.equal(status, 0)
  t.match(stderr, /IPv6 is off on this node/)
  t.match(stderr, /^E.*the cluster is IPv4-only, but metricsBindAddress is IPv6/m)
  t.same([elements('services', 'ip6'), services()], [undefined, []])
})

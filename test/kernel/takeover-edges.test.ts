import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import t from 'tap'
import { noCounts } from '../../src/backends/takeover/report.ts'
import { nodeKernel, removeLeftovers } from '../../src/backends/takeover/takeover.ts'
import { fakeRun } from '../../src/kernel/exec/fake-run.ts'
import { run } from '../../src/kernel/exec/run.ts'
import { FakeIptables } from '../../src/kernel/iptables/fake-iptables.ts'
import { type Iptables, variants } from '../../src/kernel/iptables/iptables.ts'
import { IptablesClient } from '../../src/kernel/iptables/iptables-client.ts'
import type { Statement } from '../../src/kernel/iptables/restore-builder.ts'
import { ruleText } from '../../src/kernel/iptables/rule-text.ts'
import { Connection } from '../../src/kernel/netlink/connection.ts'
import { openTransport } from '../../src/kernel/netlink/transport.ts'
import { families } from '../../src/model/ip.ts'
import { ownNamespace } from '../support/namespace.ts'
import { kubeProxyRules } from './takeover-fixture.ts'

ownNamespace(import.meta.url)

const { signal } = new AbortController()
const sh = (command: string, input = ''): string => {
  const [program = '', ...args] = command.split(' ')
  return execFileSync(program, args, { input, encoding: 'utf8', stdio: ['pipe', 'pipe', 'pipe'] })
}
const saved = (variant: string): string => sh(`iptables-${variant}-save -c`).replaceAll(/^#.*\n/gm, '')

/** The number of nf_tables commits in this namespace: NFT_MSG_GETGEN → NFTA_GEN_ID. */
const generation = (): number => {
  const connection = new Connection(openTransport({ protocol: 12 }))
  try {
    let id = 0
    const body = (writer: { reserve(size: number): number }): void => void writer.reserve(4)
    connection.request(
      { op: 'get generation', type: (10 << 8) | 16, body },
      signal,
      (message) => {
        const attributes = message.attributes(4)
        while (attributes.next()) if (attributes.type === 1) id = attributes.u32be()
      },
      'reply',
    )
    return id
  } finally {
    connection.close()
  }
}

t.test('a clean node stays as it is', async (t) => {
  const before = generation()
  t.same(await removeLeftovers(signal), { counts: noCounts, left: [], errors: [] })
  t.equal(generation(), before, 'no nf_tables commit')
  for (const names of ['/proc/net/ip_tables_names', '/proc/net/ip6_tables_names'])
    t.equal(readFileSync(names, 'utf8'), '', `no legacy table in ${names}`)
  t.equal(sh('nft list tables'), '')
  t.equal(sh('ipset list -name'), '')
  sh('nft add table ip weir')
  t.equal(generation(), before + 1, 'the generation would have told')
  sh('nft delete table ip weir')
})

t.test('the fake does what the kernel does', async (t) => {
  const jump = ruleText('-j', 'KUBE-X')
  const commented = ruleText('-m', 'comment', '--comment', 'it is "quoted" \\ here', '-j', 'ACCEPT')
  const zero = { packets: 0n, bytes: 0n }
  const steps: readonly (readonly Statement[])[] = [
    [{ kind: 'policy', chain: 'OUTPUT', policy: 'ACCEPT', counters: { packets: 3n, bytes: 4n } }],
    [
      { kind: 'chain', chain: 'KUBE-X' },
      { kind: 'append', chain: 'OUTPUT', rule: jump },
      { kind: 'append', chain: 'KUBE-X', rule: commented },
      { kind: 'insert', chain: 'KUBE-X', rule: ruleText('-j', 'RETURN') },
    ],
    [{ kind: 'deleteChain', chain: 'KUBE-X' }],
    [
      { kind: 'flush', chain: 'KUBE-X' },
      { kind: 'delete', chain: 'OUTPUT', rule: ruleText('-j', 'KUBE-Y') },
    ],
    [{ kind: 'append', chain: 'OUTPUT', rule: ruleText('-j', 'KUBE-NONE') }],
    [{ kind: 'flush', chain: 'KUBE-NONE' }],
    [{ kind: 'policy', chain: 'OUTPUT', policy: 'ACCEPT', counters: zero }],
    [{ kind: 'chain', chain: 'KUBE-X' }],
    [
      { kind: 'delete', chain: 'OUTPUT', rule: jump },
      { kind: 'flush', chain: 'KUBE-X' },
      { kind: 'deleteChain', chain: 'KUBE-X' },
    ],
  ]
  const outcome = async (iptables: Iptables, statements: readonly Statement[]): Promise<unknown> => {
    let code = 'done'
    try {
      await iptables.restore([{ table: 'nat', statements }], signal)
    } catch (error) {
      code = String(error instanceof Error && 'code' in error ? error.code : error)
    }
    const { tables } = await iptables.save(signal)
    return { code, tables: tables.map(({ name, chains, rules }) => ({ name, chains: [...chains.values()], rules })) }
  }
  for (const variant of variants)
    for (const family of families) {
      const [real, fake] = [new IptablesClient(variant, family), new FakeIptables(variant, family)]
      t.same(await real.tables(signal), await fake.tables(), 'no table at first')
      for (const [i, step] of steps.entries())
        t.same(await outcome(fake, step), await outcome(real, step), `${variant} ${family}, step ${i + 1}`)
    }
  sh('nft flush ruleset')
})

t.test('a foreign rule keeps the chains that it uses', async (t) => {
  const foreign = `*nat
:CNI-HOSTPORT-SETMARK - [0:0]
-A CNI-HOSTPORT-SETMARK -m comment --comment "CNI portfwd masquerade mark" -j KUBE-MARK-MASQ
COMMIT
`
  for (const variant of variants) {
    sh(`iptables-${variant}-restore --noflush`, kubeProxyRules('IPv4', 'iptables'))
    sh(`iptables-${variant}-restore --noflush`, foreign)
  }
  const report = await removeLeftovers(signal)
  const rule = '-A CNI-HOSTPORT-SETMARK -m comment --comment "CNI portfwd masquerade mark" -j KUBE-MARK-MASQ'
  t.same(report.errors, [])
  t.same(
    report.left,
    variants.flatMap((variant) => [
      {
        area: `iptables-${variant}`,
        what: `iptables nat: ${rule}`,
        why: "a rule that is not kube-proxy's uses KUBE-MARK-MASQ",
      },
      { area: `iptables-${variant}`, what: 'iptables nat: KUBE-MARK-MASQ', why: 'foreign rules lead to it' },
    ]),
  )
  for (const variant of variants) {
    const kube = saved(variant)
      .split('\n')
      .filter((line) => line.includes('KUBE'))
    t.same(kube, [
      ':KUBE-MARK-MASQ - [0:0]',
      `[0:0] ${rule}`,
      '[0:0] -A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000',
    ])
    sh(`iptables-${variant}-restore`, '*nat\nCOMMIT\n')
  }
})

t.test('a set in use stays, others with such names too', async (t) => {
  sh(
    'ipset restore',
    `create KUBE-CLUSTER-IP hash:ip,port
create KUBE-IPVS-IPS hash:ip
create KUBE-LOOP-BACK hash:ip,port,ip
create KUBE-SRC-ABC hash:ip
create mine list:set
add mine KUBE-IPVS-IPS
`,
  )
  for (const variant of variants)
    sh(
      `iptables-${variant}-restore --noflush`,
      '*nat\n:KUBE-SERVICES - [0:0]\n-A KUBE-SERVICES -m set --match-set KUBE-LOOP-BACK dst,dst,src -j ACCEPT\n-A OUTPUT -m set --match-set KUBE-CLUSTER-IP dst,dst -j ACCEPT\nCOMMIT\n',
    )
  const report = await removeLeftovers(signal)
  t.same(report.counts, { ...noCounts, chains: 2, sets: 1 })
  t.same(
    report.left.map(({ what, why }) => `${what}: ${why}`),
    ['KUBE-CLUSTER-IP: still in use, 2 references', 'KUBE-IPVS-IPS: still in use, 1 reference'],
  )
  t.same(sh('ipset list -name').trim().split('\n').sort(), ['KUBE-CLUSTER-IP', 'KUBE-IPVS-IPS', 'KUBE-SRC-ABC', 'mine'])
  for (const variant of variants) sh(`iptables-${variant}-restore`, '*nat\nCOMMIT\n')
  for (const set of ['KUBE-CLUSTER-IP', 'mine', 'KUBE-IPVS-IPS', 'KUBE-SRC-ABC']) sh(`ipset destroy ${set}`)
})

t.test('a failure in one place does not stop the others', async (t) => {
  // A verdict map leads to a chain, which iptables cannot see: the kernel refuses the whole commit for this table.
  for (const variant of variants) sh(`iptables-${variant}-restore --noflush`, kubeProxyRules('IPv4', 'iptables'))
  sh('nft -f -', 'add map ip nat m { type ipv4_addr : verdict; elements = { 192.0.2.1 : jump KUBE-MARK-MASQ }; }')
  const nat = sh('iptables-nft-save -t nat').replaceAll(/^#.*\n/gm, '')
  const report = await removeLeftovers(signal)
  t.match(report.errors, [{ code: 'iptables-nft', op: 'clear iptables table nat', cause: { code: 'rejected' } }])
  t.equal(sh('iptables-nft-save -t nat').replaceAll(/^#.*\n/gm, ''), nat, 'the table is as it was')
  t.notMatch(saved('legacy'), /KUBE/)
  t.notMatch(sh('iptables-nft-save -t filter'), /KUBE/)
  sh('nft flush ruleset')
  t.same((await removeLeftovers(signal)).counts, noCounts)
})

t.test('the xtables lock', async (t) => {
  const hold = async (seconds: number): Promise<{ readonly over: Promise<unknown> }> => {
    const holder = spawn('flock', ['/run/xtables.lock', 'sh', '-c', `echo held; exec sleep ${seconds}`])
    await once(holder.stdout, 'data')
    return { over: once(holder, 'close') }
  }
  sh('iptables-legacy-restore --noflush', kubeProxyRules('IPv4', 'iptables'))
  const brief = await hold(1)
  const report = await removeLeftovers(signal)
  t.same(report.errors, [])
  t.notMatch(saved('legacy'), /KUBE/, 'waited for')
  await brief.over

  sh('iptables-legacy-restore --noflush', '*nat\n:KUBE-SERVICES - [0:0]\nCOMMIT\n')
  const before = saved('legacy')
  const long = await hold(3)
  const failed = await removeLeftovers(signal, { kernel: nodeKernel({ lockSeconds: 1 }) })
  t.match(failed.errors, [{ code: 'iptables-legacy', op: 'clear iptables table nat', cause: { code: 'locked' } }])
  t.equal(failed.errors.length, 1)
  t.equal(saved('legacy'), before, 'nothing was done')
  await long.over
  t.same((await removeLeftovers(signal)).errors, [])
  t.notMatch(saved('legacy'), /KUBE/)
})

t.test('nobody commits to a legacy table between look and commit', async (t) => {
  sh('iptables-legacy -t nat -N KUBE-X')
  let refusal = ''
  await new IptablesClient('legacy', 'IPv4').update(
    'nat',
    () => {
      try {
        sh('iptables-legacy -w 1 -t nat -N OTHER')
      } catch (error) {
        refusal = String(error)
      }
      return [{ kind: 'deleteChain', chain: 'KUBE-X' }]
    },
    signal,
  )
  t.match(refusal, /xtables lock/)
  sh('iptables-legacy -w 1 -t nat -N OTHER')
  sh('iptables-legacy -w 1 -t nat -X OTHER')
  t.notMatch(saved('legacy'), /KUBE-X/)
})

t.test('without the tools', async (t) => {
  sh('iptables-legacy-restore --noflush', kubeProxyRules('IPv4', 'iptables'))
  const kernel = nodeKernel({ run: fakeRun({}).run })
  const report = await removeLeftovers(signal, { kernel })
  t.same(report.counts, noCounts)
  t.same(report.errors, [])
  const tables = (program: string, file: string): readonly string[] =>
    readFileSync(file, 'utf8')
      .split('\n')
      .filter(Boolean)
      .map((table) => `${program} ${table}`)
  const legacy = [
    ...tables('iptables', '/proc/net/ip_tables_names'),
    ...tables('ip6tables', '/proc/net/ip6_tables_names'),
  ]
  t.ok(legacy.includes('iptables nat'))
  t.same(report.left.map(({ what }) => what).sort(), legacy.sort())
})

t.test(
  'the device goes where there is no IPVS',
  { skip: existsSync('/proc/net/ip_vs') && 'IPVS is loaded' },
  async (t) => {
    sh('ip link add kube-ipvs0 type bridge')
    sh('ip addr add 10.96.0.1/32 dev kube-ipvs0')
    const started = await run(['ip', 'link', 'show', 'kube-ipvs0'], { signal })
    t.equal(started.status, 0)
    t.equal((await removeLeftovers(signal)).counts.devices, 1)
    t.not((await run(['ip', 'link', 'show', 'kube-ipvs0'], { signal })).status, 0)
  },
)

t.test('an abort rejects', async (t) => {
  await t.rejects(removeLeftovers(AbortSignal.abort(new Error('enough'))), { message: 'enough' })
})

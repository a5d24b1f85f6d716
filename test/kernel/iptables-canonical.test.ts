/** Rules as we write them, given to the real tools and read back: canonicalRule must say what iptables-save says. */
import { execFileSync } from 'node:child_process'
import t from 'tap'
import { canonicalRule } from '../../src/kernel/iptables/canonical.ts'
import { type Variant, variants } from '../../src/kernel/iptables/iptables.ts'
import { IptablesClient } from '../../src/kernel/iptables/iptables-client.ts'
import type { Statement } from '../../src/kernel/iptables/restore-builder.ts'
import { type RuleText, ruleText, ruleWords } from '../../src/kernel/iptables/rule-text.ts'
import type { TableName } from '../../src/kernel/iptables/table-name.ts'
import { openNfacct } from '../../src/kernel/nfacct/netlink-nfacct.ts'
import { type Family, families } from '../../src/model/ip.ts'
import { ownNamespace } from '../support/namespace.ts'

ownNamespace(import.meta.url)

const { signal } = new AbortController()

interface Words {
  readonly ip: string
  readonly pod: string
  readonly pods: string
  readonly loopback: string
  readonly range: string
  readonly endpoint: string
  readonly any: string
  readonly digit: '4' | '6'
}
const wordsOf: Readonly<Record<Family, Words>> = {
  IPv4: {
    ...{ ip: '10.96.0.10', pod: '10.244.0.5', pods: '10.244.0.0/16', loopback: '127.0.0.0/8' },
    ...{ range: '198.51.100.7/24', endpoint: '10.244.0.5:8080', any: '0.0.0.0/0', digit: '4' },
  },
  IPv6: {
    ...{ ip: 'fd00:96::10', pod: 'fd00:244::5', pods: 'fd00:244::/56', loopback: '::1/128' },
    ...{ range: '2001:db8:1::7/64', endpoint: '[fd00:244::5]:8080', any: '::/0', digit: '6' },
  },
}

const sets = {
  'CLUSTER-IP': 'hash:ip,port',
  'LOOP-BACK': 'hash:ip,port,ip',
  'LB-SOURCE': 'hash:ip,port,net',
  'NP-TCP': 'bitmap:port',
} as const
const accounting = ['ct_state_invalid_dropped_pkts', 'localhost_nps_accepted_pkts'] as const
const chain = (kind: string): string => `KUBE-${kind}-XPGD46QRK7WJZT7O`

const comment = (text: string): string => ruleText('-m', 'comment', '--comment', text)
const odd = [
  ...['', 'plain', 'a_b-9', 'a.b', 'a/b:c', '-j', '"', "it's", '\\', 'a "b" \\ \' c', 'tab\there', 'ü →', ' ', '!'],
  ...['a;b', '$(x)', '#', `${'x'.repeat(250)} long`],
]

/** Rules of any table. */
const anywhere = ({ ip, pod, pods, loopback, range, any, digit }: Words): readonly string[] => [
  ...['tcp', 'udp', 'sctp'].flatMap((protocol) => [
    `${comment('ns1/svc1:p80 cluster IP')} -m ${protocol} -p ${protocol} -d ${ip} --dport 80 -j ${chain('SVC')}`,
    `${comment('ns1/svc1:p80 cluster IP')} -m ${protocol} -p ${protocol} -d ${ip} --dport 80 ! -s ${pods} -j KUBE-MARK-MASQ`,
    `${comment('ns1/svc1:p80 has no local endpoints')} -m addrtype --dst-type LOCAL -m ${protocol} -p ${protocol} --dport 30080 -j DROP`,
    `-p ${protocol} --dport 80 -j ACCEPT`,
    `-p ${protocol} ${comment('x')} --dport 80 -j ACCEPT`,
  ]),
  `${comment('ns1/svc1 health check node port')} -m tcp -p tcp --dport 31000 -j ACCEPT`,
  `${comment(`ns1/svc1:p80 traffic not accepted by ${chain('FW')}`)} -m tcp -p tcp -d ${ip} --dport 80 -j DROP`,
  `${comment('block incoming localnet connections')} -d ${loopback} ! -s ${loopback} -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP`,
  ...['-m conntrack --ctstate INVALID -j DROP', '-m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT'],
  '-m conntrack --ctstate DNAT,SNAT,UNTRACKED,NEW,INVALID -j ACCEPT',
  `-m conntrack --ctstate INVALID -m nfacct --nfacct-name ${accounting[0]} -j DROP`,
  `${comment('ns1/svc1:p80')} -m tcp -p tcp --dport 30080 -d ${loopback} -m nfacct --nfacct-name ${accounting[1]} -j ${chain('EXT')}`,
  `${comment('ns1/svc1:p80')} -m tcp -p tcp --dport 30080 -j ${chain('EXT')}`,
  `${comment('kubernetes forwarding rules')} -m mark --mark 0x00004000/0x00004000 -j ACCEPT`,
  `${comment('kubernetes forwarding conntrack rule')} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT`,
  `-m conntrack --ctstate NEW ${comment('kubernetes externally-visible service portals')} -j KUBE-SERVICES`,
  `${comment('kubernetes service portals')} -j KUBE-SERVICES`,
  ...['-j KUBE-SERVICES', '-g KUBE-SERVICES', ''],
  '-m mark ! --mark 0x00004000/0x00004000 -j RETURN',
  '-m mark --mark 0x4000 -j RETURN',
  ...['0x00004000', '0x80000000', '0x00000001'].flatMap((bit) => [
    `-j MARK --xor-mark ${bit}`,
    `-j MARK --or-mark ${bit}`,
    `-m mark ! --mark ${bit}/${bit} -j RETURN`,
  ]),
  ...['-j MARK --and-mark 0x00004000', '-j MARK --set-mark 0x4000', '-j MARK --set-mark 0x4000/0x1'],
  ...['-j MARK --set-xmark 0x4000', '-j MARK --set-xmark 0x00004000/0x0000ffff'],
  `${comment('NOTE: this must be the last rule in this chain')} -m addrtype --dst-type LOCAL ! -d ${loopback} -j KUBE-NODEPORTS`,
  `${comment('NOTE: this must be the last rule in this chain')} -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS`,
  `${comment('NOTE: this must be the last rule in this chain')} -d ${ip} -j KUBE-NODEPORTS`,
  `${comment('masquerade traffic for ns1/svc1 external destinations')} -j KUBE-MARK-MASQ`,
  `${comment('pod traffic for ns1/svc1 external destinations')} -s ${pods} -j ${chain('SVC')}`,
  ...['-i eth0', '! -i eth0', '-i cali+', '! -i cali+', '-m physdev ! --physdev-is-in', '-o eth0.1 -i br-0'].map(
    (local) => `${comment('ns1/svc1 cluster IP')} -m tcp -p tcp -d ${ip} --dport 80 ${local} -j KUBE-MARK-MASQ`,
  ),
  `${comment('masquerade LOCAL traffic for x')} -m addrtype --src-type LOCAL -j KUBE-MARK-MASQ`,
  '-m addrtype --dst-type LOCAL ! --src-type LOCAL -j ACCEPT',
  ...[ip, range, pods, any].map((from) => `${comment('ns1/svc1 loadbalancer IP')} -s ${from} -j ${chain('EXT')}`),
  comment('other traffic to ns1/svc1 will be dropped by KUBE-PROXY-FIREWALL'),
  ...odd.map((text) => `${comment(text)} -j ACCEPT`),
  `${comment('x -> y')} -m recent --name ${chain('SEP')} --rcheck --seconds 10800 --reap -j ${chain('SEP')}`,
  '-m recent --rttl --hitcount 3 --seconds 60 --rcheck --rdest -j ACCEPT',
  `${comment('ns1/svc1')} -s ${pod} -j KUBE-MARK-MASQ`,
  `-s ${pod} -j KUBE-MARK-MASQ`,
  `-m set --match-set WEIR-${digit}-CLUSTER-IP dst,dst ! -s ${pods} -j KUBE-MARK-MASQ`,
  `-m set ! --match-set WEIR-${digit}-CLUSTER-IP dst,dst -j KUBE-MARK-MASQ`,
  `-m conntrack --ctstate DNAT -m set --match-set WEIR-${digit}-LOOP-BACK dst,dst,src -j ACCEPT`,
  `-p tcp -m addrtype --dst-type LOCAL -m set --match-set WEIR-${digit}-NP-TCP dst -j KUBE-NODEPORTS`,
  `${comment('ns1/svc1 loadbalancer IP')} -m tcp -p tcp -d ${ip} --dport 80 -m set --match-set WEIR-${digit}-LB-SOURCE dst,dst,src -j ${chain('SVC')}`,
  `-d ${pods} -j WEIR-${pods.replace('/', '-')}`.slice(0, 40),
  ...['4096:8191', '0:65535', '7:7', ':80', '90:', '0'].flatMap((ports) => [
    `-d ${ip} -p tcp -m tcp --dport ${ports} -j KUBE-SERVICES`,
    `-p tcp --dport ${ports} --sport 1024: -j KUBE-SERVICES`,
  ]),
  '-m tcp -p tcp ! --dport 80 -j ACCEPT',
  ...['0.3333333333', '0.5000000000', '1.0000000000', '0.0010000000', '0.0000100000', '0.9999999999'].map(
    (chance) => `${comment('x -> y')} -m statistic --mode random --probability ${chance} -j ${chain('SEP')}`,
  ),
  ...['3 --packet 0', '7 --packet 6', '1 --packet 0'].map(
    (every) => `-m statistic --mode nth --every ${every} -j RETURN`,
  ),
]

const filterOnly = ({ ip, digit }: Words): readonly string[] => [
  ...['tcp', 'udp', 'sctp'].map(
    (protocol) => `${comment('ns1/svc1 has no endpoints')} -m ${protocol} -p ${protocol} -d ${ip} --dport 80 -j REJECT`,
  ),
  `-m set --match-set WEIR-${digit}-CLUSTER-IP dst,dst -j REJECT`,
  '-p tcp -j REJECT --reject-with tcp-reset',
]

const natOnly = ({ endpoint, digit }: Words): readonly string[] => [
  `${comment('kubernetes service traffic requiring SNAT')} -j MASQUERADE --random-fully`,
  '-j MASQUERADE',
  `-m set --match-set WEIR-${digit}-LOOP-BACK dst,dst,src -j MASQUERADE --random-fully`,
  ...['tcp', 'udp', 'sctp'].flatMap((protocol) => [
    `${comment('ns1/svc1')} -m ${protocol} -p ${protocol} -j DNAT --to-destination ${endpoint}`,
    `-m ${protocol} -p ${protocol} -j DNAT --to-destination ${endpoint}`,
    `${comment('ns1/svc1')} -m recent --name ${chain('SEP')} --set -m ${protocol} -p ${protocol} -j DNAT --to-destination ${endpoint}`,
    `${comment('x -> y')} -p ${protocol} -m statistic --mode nth --every 3 --packet 0 -j DNAT --to-destination ${endpoint}`,
  ]),
  `-p tcp -m recent --name ${chain('SEP')} --update --seconds 10800 --reap -j DNAT --to-destination ${endpoint}`,
  `-p tcp -m statistic --mode random --probability 0.5000000000 -m recent --name ${chain('SEP')} --set -j DNAT --to-destination ${endpoint}`,
  `-p tcp -j DNAT --persistent --random --to-destination ${endpoint}`,
]

/** Probabilities that take different ways through the rounding: 1/n as kube-proxy prints it, and the exact ties. */
const probabilities = [
  ...Array.from({ length: 300 }, (_, i) => (1 / (i + 1)).toFixed(10)),
  ...[1, 3, 5, 1023, 2047, 4095].map((odd) => (odd / 4096).toFixed(12)),
  ...[512, 1000, 4096, 5000, 65536].map((count) => (1 / count).toFixed(10)),
].map((chance) => `-m statistic --mode random --probability ${chance} -j RETURN`)

const embedded = [
  '::c000:201',
  '::ffff:c000:201',
  '::1',
  '::',
  '::2:0:0',
  '1::',
  '1::2:3:0:0:4',
  '64:ff9b::c000:201',
].flatMap((address) => [`-s ${address} -j RETURN`, `-p tcp -j DNAT --to-destination [${address}]:80`])

const readBack = async (
  variant: Variant,
  family: Family,
  table: TableName,
  rules: readonly string[],
): Promise<readonly RuleText[]> => {
  const client = new IptablesClient(variant, family)
  const statements = rules.map((rule): Statement => ({ kind: 'append', chain: 'TEST', rule: rule as RuleText }))
  const chains = new Set([
    'TEST',
    ...rules.flatMap((rule) =>
      ruleWords(rule as RuleText).filter((word) => /^(KUBE|WEIR)-[A-Z]*-?[0-9A-Z.:a-z-]*$/.test(word)),
    ),
  ])
  const declared = [...chains]
    .filter((name) => !/^WEIR-[46]/.test(name))
    .map((name): Statement => ({ kind: 'chain', chain: name }))
  await client.restore([{ table, statements: [...declared, ...statements] }], signal)
  const saved = (await client.save(signal)).tables.find(({ name }) => name === table)
  return (saved?.rules ?? []).filter((rule) => rule.chain === 'TEST').map(({ rule }) => rule)
}

const nfacct = openNfacct()
t.teardown(() => nfacct.close())
const counts = await nfacct.supported(signal)

t.before(async () => {
  if (counts) for (const name of accounting) await nfacct.ensure(name, signal)
  else t.comment('rules with nfacct are left out: this kernel has none')
  for (const digit of ['4', '6'] as const)
    for (const [name, type] of Object.entries(sets)) {
      const options = type === 'bitmap:port' ? ['range', '0-65535'] : ['family', digit === '4' ? 'inet' : 'inet6']
      execFileSync('ipset', ['create', `WEIR-${digit}-${name}`, type, ...options])
    }
})

for (const variant of variants)
  for (const family of families)
    t.test(`${variant} ${family}`, async (t) => {
      const words = wordsOf[family]
      const byTable = {
        filter: [...anywhere(words), ...filterOnly(words), ...probabilities],
        nat: [
          ...anywhere(words).filter((rule) => !rule.endsWith('-j DROP')),
          ...natOnly(words),
          ...(family === 'IPv6' ? embedded : []),
        ],
      } as const
      for (const table of ['filter', 'nat'] as const) {
        const rules = byTable[table].filter((rule) => counts || !rule.includes('nfacct'))
        const saved = await readBack(variant, family, table, rules)
        t.equal(saved.length, rules.length, `${rules.length} rules in ${table}`)
        const pairs = saved.map((line, i) => ({ rule: rules[i] as RuleText, line }))
        t.strictSame(
          pairs.filter(({ rule, line }) => canonicalRule(rule, family) !== line),
          [],
          'every rule as the tool prints it',
        )
        t.strictSame(
          pairs.filter(({ line }) => canonicalRule(line, family) !== line),
          [],
          'what it prints stays',
        )
      }
    })

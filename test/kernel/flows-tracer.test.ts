/** The tracer of iptables text against the kernel: small rulesets whose outcome is known, traced and loaded. */
import { execFileSync } from 'node:child_process'
import t from 'tap'
import { variants } from '../../src/kernel/iptables/iptables.ts'
import { readIpsets } from '../compliance/ipset-text.ts'
import { readRestore } from '../compliance/iptables-text.ts'
import { IptablesTracer } from '../compliance/iptables-tracer.ts'
import { playCase } from '../compliance/run-flows.ts'
import { Stage } from '../compliance/stage.ts'
import { isNodeAddress, traceOn } from '../compliance/trace-flows.ts'
import {
  direct,
  dropped,
  type FlowCase,
  masqueraded,
  type Packet,
  refused,
  toElsewhere,
  toNodeItself,
} from '../flows/flow.ts'
import { ipv4, ipv6, nodePort, port } from '../flows/net.ts'
import { ownNamespace } from '../support/namespace.ts'

ownNamespace(import.meta.url)

const stage = await Stage.create(['TCP', 'UDP'])
t.teardown(() => stage.close())

const a = ipv4.clusterIP(1)
const b = ipv4.clusterIP(2)
const pod = (name: 'pod-1' | 'pod-2' | 'remote-1'): string => `-j DNAT --to-destination ${ipv4.at[name]}:8080`
const table = (name: string, ...lines: readonly string[]): string => [`*${name}`, ...lines, 'COMMIT', ''].join('\n')
const nat = (...lines: readonly string[]): string => table('nat', ...lines)
const from = (place: Packet['from'], to: string, at: number, expect: Packet['expect']): Packet => ({
  from: place,
  to,
  port: at,
  expect,
})

interface Sample {
  readonly name: string
  readonly rules: string
  /** Input for `ipset restore`. */
  readonly sets?: string
  readonly protocol?: 'TCP' | 'UDP'
  readonly packets: readonly Packet[]
}

const samples: readonly Sample[] = [
  {
    name: 'address, protocol and port',
    rules: nat(`-A PREROUTING -d ${a}/32 -p tcp -m tcp --dport 80 ${pod('pod-1')}`),
    packets: [
      from('client', a, port, direct('pod-1')),
      from('client', a, nodePort, toElsewhere),
      from('client', b, port, toElsewhere),
      from('node', a, port, toElsewhere),
    ],
  },
  {
    name: 'another protocol',
    rules: nat(`-A PREROUTING -d ${a} -p tcp -m tcp --dport 80 ${pod('pod-1')}`),
    protocol: 'UDP',
    packets: [from('client', a, port, toElsewhere)],
  },
  {
    name: 'ranges and lists of ports',
    rules: nat(
      `-A PREROUTING -d ${a} -p tcp -m tcp --dport 80:81 ${pod('pod-1')}`,
      `-A PREROUTING -d ${b} -p tcp -m multiport --dports 22,80,90:99 ${pod('pod-2')}`,
    ),
    packets: [
      from('client', a, 81, direct('pod-1')),
      from('client', a, 90, toElsewhere),
      from('client', b, 80, direct('pod-2')),
      from('client', b, 90, direct('pod-2')),
    ],
  },
  {
    name: 'sources, and all but them',
    rules: nat(
      `-A PREROUTING -s ${ipv4.aroundClient} -d ${a} -p tcp ${pod('pod-1')}`,
      `-A PREROUTING ! -s ${ipv4.clusterCidr} -d ${a} -p tcp ${pod('pod-2')}`,
    ),
    packets: [
      from('client', a, port, direct('pod-1')),
      from('client-2', a, port, direct('pod-2')),
      from('remote-2', a, port, toElsewhere),
    ],
  },
  {
    name: 'input interfaces, and all but them',
    rules: nat(
      `-A PREROUTING -i cali+ -d ${a} -p tcp ${pod('remote-1')}`,
      `-A PREROUTING ! -i v-client -d ${a} -p tcp ${pod('pod-2')}`,
    ),
    packets: [
      from('pod-1', a, port, direct('remote-1')),
      from('client-2', a, port, direct('pod-2')),
      from('client', a, port, toElsewhere),
    ],
  },
  {
    name: 'chains: back from the end, by RETURN, and past the caller by goto',
    rules: nat(
      ':ONE - [0:0]',
      ':TWO - [0:0]',
      ':DEEP - [0:0]',
      '-A PREROUTING -j ONE',
      `-A PREROUTING -d ${b} -p tcp ${pod('pod-2')}`,
      `-A ONE -s ${ipv4.at['client-2']} -j RETURN`,
      `-A ONE -s ${ipv4.at['remote-2']} -g TWO`,
      '-A ONE -j TWO',
      `-A ONE -d ${b} -p tcp ${pod('remote-1')}`,
      '-A TWO -j DEEP',
      `-A TWO -d ${a} -p tcp ${pod('pod-1')}`,
      '-A DEEP -j RETURN',
    ),
    packets: [
      from('client', a, port, direct('pod-1')),
      from('client', b, port, direct('remote-1')),
      from('client-2', a, port, toElsewhere),
      from('client-2', b, port, direct('pod-2')),
      from('remote-2', a, port, direct('pod-1')),
      from('remote-2', b, port, direct('pod-2')),
    ],
  },
  {
    name: 'insertions come before, deletions go',
    rules: nat(
      `-A PREROUTING -d ${a} -p tcp ${pod('pod-1')}`,
      `-I PREROUTING -d ${a} -p tcp ${pod('remote-1')}`,
      `-I PREROUTING 2 -d ${a} -p tcp ${pod('pod-1')}`,
      `-I PREROUTING -d ${a} -p tcp ${pod('pod-2')}`,
      `-D PREROUTING -d ${a} -p tcp ${pod('pod-2')}`,
    ),
    packets: [from('client', a, port, direct('remote-1'))],
  },
  {
    name: 'chance and turns',
    rules: nat(
      `-A PREROUTING -d ${a} -p tcp -m statistic --mode random --probability 0.3333333333 ${pod('pod-1')}`,
      `-A PREROUTING -d ${a} -p tcp -m statistic --mode random --probability 0.5000000000 ${pod('pod-2')}`,
      `-A PREROUTING -d ${a} -p tcp ${pod('remote-1')}`,
      `-A PREROUTING -d ${b} -p tcp -m statistic --mode nth --every 2 --packet 0 ${pod('pod-1')}`,
      `-A PREROUTING -d ${b} -p tcp -m statistic --mode nth --every 1 --packet 0 ${pod('pod-2')}`,
      `-A PREROUTING -d ${b} -p tcp ${pod('remote-1')}`,
    ),
    packets: [
      from('client', a, port, direct('pod-1', 'pod-2', 'remote-1')),
      from('client', b, port, direct('pod-1', 'pod-2')),
    ],
  },
  {
    name: 'who was here before',
    rules: nat(
      ':SEP - [0:0]',
      `-A PREROUTING -d ${a} -p tcp -m recent --rcheck --seconds 60 --reap --name SEP --mask 255.255.255.255 --rsource -j SEP`,
      `-A PREROUTING -d ${a} -p tcp -m statistic --mode random --probability 0.5 -j SEP`,
      `-A PREROUTING -d ${a} -p tcp -j SEP`,
      `-A SEP -p tcp -m recent --set --name SEP --mask 255.255.255.255 --rsource -m tcp ${pod('pod-1')}`,
    ),
    packets: [from('client', a, port, direct('pod-1'))],
  },
  {
    name: 'addresses of the node',
    rules: nat(
      `-A PREROUTING -p tcp -m addrtype --dst-type LOCAL ! -d ${ipv4.nodeSecond} -m tcp --dport 30080 ${pod('pod-1')}`,
      `-A OUTPUT -p tcp -m addrtype --src-type LOCAL -d ${a} ${pod('pod-2')}`,
    ),
    packets: [
      from('client', ipv4.at.node, nodePort, direct('pod-1')),
      from('client', ipv4.nodeSecond, nodePort, toNodeItself),
      from('client', a, nodePort, toElsewhere),
      from('node', a, port, direct('pod-2')),
      // It was in OUTPUT already when it comes back in by lo.
      from('node', ipv4.at.node, nodePort, toNodeItself),
    ],
  },
  {
    name: 'marks, and masquerading by them',
    rules: nat(
      ':MARKED - [0:0]',
      ':OUT - [0:0]',
      `-A PREROUTING -d ${a} -p tcp -m comment --comment "a b -j DROP" -j MARKED`,
      `-A PREROUTING -d ${a} -p tcp -m mark --mark 0x4001/0x4001 ${pod('remote-1')}`,
      `-A PREROUTING -d ${b} -p tcp -m mark ! --mark 0x4000/0x4000 ${pod('pod-2')}`,
      '-A MARKED -j MARK --set-xmark 0x1/0xffffffff',
      '-A MARKED -j MARK --or-mark 0x4000',
      '-A POSTROUTING -j OUT',
      '-A OUT -m mark ! --mark 0x00004000/0x00004000 -j RETURN',
      '-A OUT -j MARK --xor-mark 0x00004001',
      '-A OUT -j MASQUERADE --random-fully',
    ),
    packets: [from('client', a, port, masqueraded('remote-1')), from('client', b, port, direct('pod-2'))],
  },
  {
    name: 'sets',
    sets: [
      'create one hash:ip,port family inet',
      `add one ${a},tcp:80`,
      'create pairs hash:ip,port,ip family inet',
      `add pairs ${b},tcp:80,${ipv4.at.client}`,
      'create nets hash:ip,port,net family inet',
      `add nets ${b},tcp:80,${ipv4.clusterCidr}`,
      'create ports bitmap:port range 0-65535',
      'add ports 30080',
    ].join('\n'),
    rules: nat(
      `-A PREROUTING -m set --match-set one dst,dst -p tcp ${pod('pod-1')}`,
      `-A PREROUTING -p tcp -m set --match-set pairs dst,dst,src ${pod('pod-2')}`,
      `-A PREROUTING -p tcp -m set --match-set nets dst,dst,src ${pod('remote-1')}`,
      `-A PREROUTING -p tcp -d ${ipv4.at.node} -m set --match-set ports dst ${pod('pod-1')}`,
      `-A PREROUTING -p tcp -d ${ipv4.externalIP(1)} -m set ! --match-set ports dst ${pod('pod-2')}`,
    ),
    packets: [
      from('client', a, port, direct('pod-1')),
      from('client', a, nodePort, toElsewhere),
      from('client', b, port, direct('pod-2')),
      from('client-2', b, port, toElsewhere),
      from('remote-2', b, port, direct('remote-1')),
      from('client', ipv4.at.node, nodePort, direct('pod-1')),
      from('client', ipv4.externalIP(1), nodePort, toElsewhere),
      from('client', ipv4.externalIP(1), port, direct('pod-2')),
    ],
  },
  {
    name: 'refused and dropped, where they go out and come in',
    rules: `${nat(`-A PREROUTING -d ${b} -p tcp ${pod('pod-1')}`)}${table(
      'filter',
      ':FW - [0:0]',
      '-A FORWARD -m conntrack --ctstate NEW -j FW',
      '-A FORWARD -m conntrack --ctstate INVALID -j DROP',
      '-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
      `-A FW -d ${a} -p tcp -m tcp --dport 80 -j REJECT --reject-with icmp-port-unreachable`,
      `-A FW -d ${ipv4.externalIP(1)} -p tcp -j DROP`,
      `-A FW -m conntrack --ctstate DNAT -d ${ipv4.at['pod-1']} -s ${ipv4.at['client-2']} -j DROP`,
      `-A INPUT -d ${ipv4.nodeSecond} -p tcp -m tcp --dport 30080 -j REJECT`,
      `-A OUTPUT -d ${ipv4.externalIP(2)} -p tcp -j DROP`,
    )}`,
    packets: [
      from('client', a, port, refused),
      from('client', a, nodePort, toElsewhere),
      from('client', ipv4.externalIP(1), port, dropped),
      from('node', ipv4.externalIP(1), port, toElsewhere),
      from('client', b, port, direct('pod-1')),
      from('client-2', b, port, dropped),
      from('client', ipv4.nodeSecond, nodePort, refused),
      from('node', ipv4.nodeSecond, nodePort, refused),
      from('client', ipv4.externalIP(2), port, toElsewhere),
      from('node', ipv4.externalIP(2), port, dropped),
    ],
  },
]

const flowOf = ({ name, packets }: Sample): FlowCase => ({ name, rules: [], objects: [], packets })
const nothing = new IptablesTracer(new Map(), { sets: new Map(), isLocal: isNodeAddress })
const tracerOf = ({ rules, sets = '' }: Pick<Sample, 'rules' | 'sets'>): IptablesTracer =>
  new IptablesTracer(readRestore(rules), { sets: readIpsets(sets), isLocal: isNodeAddress })

t.test('traced', async (t) => {
  for (const sample of samples) {
    const seen = traceOn(flowOf(sample), sample.protocol ?? 'TCP', { IPv4: tracerOf(sample), IPv6: nothing })
    for (const { packet, got, wanted } of seen) t.same(got, wanted, `${sample.name}: ${packet.from} to ${packet.to}`)
  }
})

const run = (program: string, args: readonly string[], input = ''): unknown =>
  execFileSync(program, args, { input, stdio: ['pipe', 'pipe', 'pipe'] })

for (const variant of variants) {
  t.test(`in the kernel, ${variant}`, async (t) => {
    for (const sample of samples) {
      run('ipset', ['restore'], `${sample.sets ?? ''}\n`)
      run(`iptables-${variant}-restore`, ['--noflush'], sample.rules)
      await playCase(t, flowOf(sample), sample.protocol ?? 'TCP', stage)
      for (const name of ['nat', 'filter'])
        for (const what of ['-F', '-X']) run(`iptables-${variant}`, ['-t', name, what])
      // nf_tables lets go of sets a little later.
      for (let tries = 0; tries < 50; tries++) if (isDestroyed()) break
    }
  })
}

const isDestroyed = (): boolean => {
  try {
    run('ipset', ['destroy'])
    return true
  } catch {
    run('sleep', ['0.05'])
    return false
  }
}

t.test('in IPv6', async (t) => {
  const to = ipv6.clusterIP(1)
  const rules = nat(
    `-A PREROUTING -s ${ipv6.aroundClient} -d ${to}/128 -p udp -m udp --dport 80 -j DNAT --to-destination [${ipv6.at['pod-1']}]:8080`,
  )
  const packets = [from('client', to, port, direct('pod-1')), from('client-2', to, port, toElsewhere)]
  const flow = flowOf({ name: 'IPv6', rules, packets })
  for (const { got, wanted } of traceOn(flow, 'UDP', { IPv4: nothing, IPv6: tracerOf({ rules }) })) t.same(got, wanted)
  run('ip6tables-nft-restore', ['--noflush'], rules)
  await playCase(t, flow, 'UDP', stage)
  run('ip6tables-nft', ['-t', 'nat', '-F'])
})

t.test('what it does not know it refuses', async (t) => {
  const refuses = (rules: string, reason: RegExp): void => void t.throws(() => tracerOf({ rules }), { message: reason })
  for (const rule of ['-m hashlimit', '-o eth0 -j DROP', '--dport 80 -j DROP', '-j LOG --log-prefix x', '-j SNAT'])
    refuses(table('filter', `-A INPUT ${rule}`), /does not know|no chain/)
  refuses(table('filter', '-A INPUT -j NOWHERE'), /no chain NOWHERE/)
  refuses(table('filter', '-A NOWHERE -j DROP'), /no chain NOWHERE/)
  refuses(table('filter', ':INPUT DROP [0:0]'), /policy/)
  refuses(table('filter', '-A INPUT -p tcp -j REJECT --reject-with tcp-reset'), /reject-with/)
  refuses(table('filter', '-R INPUT 1 -j DROP'), /-R/)
  refuses('*filter\n', /no COMMIT/)
  refuses('-A INPUT -j DROP\n', /outside a table/)
  const packet = { saddr: '192.0.2.1', daddr: a, protocol: 'tcp', dport: 80, iifname: 'eth0', mark: 0 }
  const trace = (rules: string): unknown =>
    tracerOf({ rules }).trace({ ...packet, translated: false, masqueraded: false })
  t.throws(() => trace(nat('-A PREROUTING -j REJECT')), /a target for filter/)
  t.throws(() => trace(nat('-A POSTROUTING -j DNAT --to-destination 192.0.2.1')), /a target for nat/)
  t.throws(() => trace(nat('-A PREROUTING -m set --match-set gone dst -j DROP')), /set gone/)
})

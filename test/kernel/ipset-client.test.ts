/** NetlinkIpset with the ipset program as judge. */
import { execFileSync, spawnSync } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { type SetSpec, type SetType, setTypes } from '../../src/kernel/ipset/ipset.ts'
import {
  ipMember,
  ipPort,
  ipPortIp,
  ipPortMark,
  ipPortNet,
  type Member,
  portMember,
} from '../../src/kernel/ipset/member.ts'
import { openIpset } from '../../src/kernel/ipset/netlink-ipset.ts'
import { serves } from '../../src/kernel/ipset/serves.ts'
import { type Cidr, hostCidr, parseCidr } from '../../src/model/cidr.ts'
import { type Family, families, type IP, parseIP } from '../../src/model/ip.ts'
import { type Port, parsePort } from '../../src/model/port.ts'
import type { Protocol } from '../../src/model/protocol.ts'
import { ownNamespace } from '../support/namespace.ts'

ownNamespace(import.meta.url)

const { signal } = new AbortController()
const ipset = openIpset()
t.teardown(() => ipset.close())
t.afterEach(async () => {
  for (const variant of ['legacy', 'nft']) sh(`iptables-${variant} -F OUTPUT`)
  // Sets that a list holds, and those of nf_tables rules, which the kernel gives back some time after the commit.
  sh('ipset flush')
  for (let waited = 0; ; waited += 50) {
    if (spawnSync('ipset', ['destroy']).status === 0) return
    if (waited > 5000) throw new Error(sh('ipset list -terse'))
    await sleep(50)
  }
})

const sh = (command: string, input = ''): string => {
  const [program = '', ...args] = command.split(' ')
  return execFileSync(program, args, { input, encoding: 'utf8' })
}
const must = <T>(value: T | undefined): T => {
  if (value === undefined) throw new Error('not a value of the model')
  return value
}
const ip = (text: string): IP => must(parseIP(text))
const cidr = (text: string): Cidr => must(parseCidr(text))
const port = (value: number): Port => must(parsePort(value))

/** What `ipset save` prints, sorted, without what is drawn by lot. */
const saved = (): readonly string[] =>
  sh('ipset save')
    .replaceAll(/ initval \S+/g, '')
    .trim()
    .split('\n')
    .sort()

const nameOf = (type: SetType, family: Family): string => `WEIR-${family === 'IPv4' ? 4 : 6}-${setTypes.indexOf(type)}`
const specs: readonly SetSpec[] = setTypes.flatMap((type) =>
  families.map((family) => ({ name: nameOf(type, family), type, family, maxElements: 100 })),
)
const protocols: readonly Protocol[] = ['TCP', 'UDP', 'SCTP']
const texts = {
  IPv4: { ips: ['10.96.0.1', '255.255.255.255'], nets: ['10.0.0.0/8', '128.0.0.0/1', '192.0.2.4/30'] },
  IPv6: { ips: ['fd00:96::1', '2001:db8:0:1::'], nets: ['2001:db8::/32', '8000::/1', 'fd00::4/126'] },
} as const

const membersOf = ({ type, family }: SetSpec): readonly Member[] => {
  const ports = [1, 80, 65535].map(port)
  if (type === 'bitmap:port') return ports.map(portMember)
  const ips = texts[family].ips.map(ip)
  if (type === 'hash:ip') return ips.map(ipMember)
  const nets = [...texts[family].nets.map(cidr), ...ips.map(hostCidr)]
  return ips.flatMap((one) =>
    protocols.flatMap((protocol) =>
      ports.flatMap((each) => {
        if (type === 'hash:ip,port') return [ipPort(one, protocol, each)]
        if (type === 'hash:ip,port,ip') return ips.map((other) => ipPortIp(one, protocol, each, other))
        return nets.map((net) => ipPortNet(one, protocol, each, net))
      }),
    ),
  )
}

const createLine = ({ name, type, family }: SetSpec): string =>
  type === 'bitmap:port'
    ? `create ${name} ${type} range 0-65535`
    : `create ${name} ${type} family ${family === 'IPv4' ? 'inet' : 'inet6'} hashsize 128 maxelem 100 bucketsize 12`
const lines = specs.flatMap((spec) => [
  createLine(spec),
  ...membersOf(spec).map((member) => `add ${spec.name} ${member}`),
])

t.test('what is created and added is what ipset saves', async (t) => {
  for (const spec of specs) {
    await ipset.create(spec, signal)
    await ipset.add(spec, membersOf(spec), signal)
    await ipset.add(spec, membersOf(spec), signal)
  }
  t.same(saved(), lines.toSorted())
  for (const spec of specs) {
    t.same((await ipset.members(spec, signal)).toSorted(), membersOf(spec).toSorted(), `read back from ${spec.name}`)
    await ipset.remove(spec, membersOf(spec).slice(1), signal)
    await ipset.remove(spec, membersOf(spec).slice(1), signal)
    t.same(await ipset.members(spec, signal), membersOf(spec).slice(0, 1), `left in ${spec.name}`)
  }
})

t.test('what ipset restores is what is read', async (t) => {
  sh('ipset restore', lines.join('\n'))
  for (const spec of specs)
    t.same((await ipset.members(spec, signal)).toSorted(), membersOf(spec).toSorted(), spec.name)
  const foreign = [
    'nets hash:net family inet6',
    'list list:set',
    'ips hash:ip netmask 24',
    'ports bitmap:port range 5-9',
  ]
  for (const set of foreign) sh(`ipset create ${set}`)
  sh('ipset add list nets')
  sh('ipset add nets 2001:db8::/32')
  const found = await ipset.list(signal)
  const printed = sh('ipset list -terse').trim().split('\n\n')
  t.equal(found.length, printed.length)
  for (const { name, type, family, maxElements, entries, references } of found) {
    const text = printed.find((block) => block.startsWith(`Name: ${name}\n`)) ?? ''
    t.match(text, `Type: ${type}\n`)
    t.match(text, `References: ${references}\n`)
    t.match(`${text}\n`, `Number of entries: ${entries}\n`)
    t.equal(/ maxelem (\d+)/.exec(text)?.[1], maxElements?.toString())
    t.equal(/ family (\w+)/.exec(text)?.[1], family && (family === 'IPv4' ? 'inet' : 'inet6'))
  }
})

t.test('members that only others add are read and can be removed', async (t) => {
  sh(
    'ipset restore',
    `create a hash:ip,port timeout 300 counters comment skbinfo
add a 10.0.0.1,tcp:80 timeout 60 packets 5 bytes 6 comment "x" skbmark 0x1 skbprio 1:2 skbqueue 3
add a 10.0.0.1,icmp:echo-request
add a 10.0.0.1,gre:0
add a 10.0.0.1,udplite:7
create b hash:ip,port family inet6
add b fd00::1,icmpv6:echo-request
create c hash:ip,port,net comment
add c 10.0.0.1,tcp:80,10.0.0.0/8 comment "y"
add c 10.0.0.1,tcp:80,10.1.0.0/16 nomatch comment "z"
`,
  )
  const sets = [
    { name: 'a', type: 'hash:ip,port', family: 'IPv4' },
    { name: 'b', type: 'hash:ip,port', family: 'IPv6' },
    { name: 'c', type: 'hash:ip,port,net', family: 'IPv4' },
  ] as const
  const found = await Promise.all(sets.map((set) => ipset.members(set, signal)))
  t.same(
    found.map((members) => members.toSorted()),
    [
      ['10.0.0.1,1:2048', '10.0.0.1,47:0', '10.0.0.1,tcp:80', '10.0.0.1,udplite:7'],
      ['fd00::1,58:32768'],
      ['10.0.0.1,tcp:80,10.0.0.0/8', '10.0.0.1,tcp:80,10.1.0.0/16 nomatch'],
    ],
  )
  for (const [i, set] of sets.entries()) await ipset.remove(set, found[i] ?? [], signal)
  t.notMatch(saved().join('\n'), /^add/m)
})

t.test('sets with marks', async (t) => {
  const spec = { name: 'WEIR-M', type: 'hash:ip,port', family: 'IPv4', maxElements: 100, marks: true } as const
  const six = { ...spec, name: 'WEIR-M6', family: 'IPv6' } as const
  const at = (address: string, mark: number): Member => ipPortMark(ip(address), 'TCP', port(80), mark)
  const plain = ipPort(ip('10.0.0.4'), 'TCP', port(80))
  const marked = [at('10.0.0.1', 1), at('10.0.0.2', 0xffffffff), at('10.0.0.3', 0), plain]
  await ipset.create(spec, signal)
  await ipset.create(six, signal)
  await ipset.add(spec, marked, signal)
  await ipset.add(six, [at('fd00::1', 0x4000)], signal)
  const options = 'hashsize 128 maxelem 100 skbinfo bucketsize 12'
  t.same(
    saved(),
    [
      `create WEIR-M hash:ip,port family inet ${options}`,
      `create WEIR-M6 hash:ip,port family inet6 ${options}`,
      'add WEIR-M 10.0.0.1,tcp:80 skbmark 0x1',
      'add WEIR-M 10.0.0.2,tcp:80 skbmark 0xffffffff',
      'add WEIR-M 10.0.0.3,tcp:80 skbmark 0x0',
      'add WEIR-M 10.0.0.4,tcp:80',
      'add WEIR-M6 fd00::1,tcp:80 skbmark 0x4000',
    ].toSorted(),
  )
  t.same((await ipset.members(spec, signal)).toSorted(), marked)
  sh('ipset add WEIR-M 10.0.0.5,tcp:80 skbmark 0x1/0xff skbprio 1:2 skbqueue 3')
  t.ok((await ipset.members(spec, signal)).some((member) => member === '10.0.0.5,tcp:80 skbmark 0x1/0xff'))

  // The same member with another mark, with one of fewer bits, and without.
  await ipset.add(spec, [at('10.0.0.1', 2), '10.0.0.2,tcp:80 skbmark 0x2/0xf' as Member, at('10.0.0.4', 4)], signal)
  await ipset.add(spec, [ipPort(ip('10.0.0.3'), 'TCP', port(80))], signal)
  const entries = () => saved().filter((line) => line.startsWith('add WEIR-M '))
  t.same(entries(), [
    'add WEIR-M 10.0.0.1,tcp:80 skbmark 0x2',
    'add WEIR-M 10.0.0.2,tcp:80 skbmark 0x2/0xf',
    'add WEIR-M 10.0.0.3,tcp:80',
    'add WEIR-M 10.0.0.4,tcp:80 skbmark 0x4',
    'add WEIR-M 10.0.0.5,tcp:80 skbmark 0x1/0xff skbprio 1:2 skbqueue 3',
  ])
  const { marks: _, ...blind } = spec
  t.ok(
    (await ipset.members(blind, signal)).some((member) => member === '10.0.0.2,tcp:80'),
    'who asks without marks',
  )
  await ipset.remove(spec, [at('10.0.0.1', 9), ipPort(ip('10.0.0.2'), 'TCP', port(80)), at('10.0.0.5', 1)], signal)
  t.same(entries(), ['add WEIR-M 10.0.0.3,tcp:80', 'add WEIR-M 10.0.0.4,tcp:80 skbmark 0x4'])

  const bare = { ...spec, name: 'WEIR-B' }
  await ipset.create({ ...blind, name: 'WEIR-B' }, signal)
  await t.rejects(ipset.add(bare, [plain, at('10.0.0.1', 1)], signal), {
    code: 'typeMismatch',
    member: at('10.0.0.1', 1),
    message: /the set has no marks \(IPSET_ERR_SKBINFO\)/,
  })
  await ipset.swap('WEIR-B', 'WEIR-M', signal)
  await ipset.add(bare, [at('10.0.0.1', 1)], signal)
  await t.rejects(ipset.create({ ...spec, name: 'x', type: 'hash:ip' }, signal), { code: 'invalid' })
})

t.test('the mark of a member is that of the packets that a rule finds by it', async (t) => {
  const spec = { name: 'WEIR-M', type: 'hash:ip,port', family: 'IPv4', maxElements: 100, marks: true } as const
  await ipset.create(spec, signal)
  await ipset.add(spec, [ipPortMark(ip('127.0.0.1'), 'UDP', port(9), 0x80000001)], signal)
  const mangle = 'iptables-legacy -t mangle -A OUTPUT'
  sh(`${mangle} -j MARK --set-mark 0x70`)
  sh(`${mangle} -j SET --map-set WEIR-M dst,dst --map-mark`)
  sh(`${mangle} -p udp --dport 9 -m mark --mark 0x80000001`)
  sh(`${mangle} -p udp --dport 10 -m mark --mark 0x70`)
  sh('ip link set lo up')
  const socket = createSocket('udp4')
  for (const to of [9, 10]) await new Promise((done) => socket.send('x', to, '127.0.0.1', done))
  socket.close()
  const counts = sh('iptables-legacy-save -c -t mangle')
    .split('\n')
    .filter((line) => line.includes('--dport'))
  sh('iptables-legacy -t mangle -F OUTPUT')
  t.match(counts, [/^\[1:/, /^\[1:/])
})

t.test('a set that was made otherwise does not serve', async (t) => {
  const plain: SetSpec = { name: 'x', type: 'hash:ip,port', family: 'IPv4', maxElements: 100 }
  const marked: SetSpec = { ...plain, marks: true }
  const ports: SetSpec = { ...plain, type: 'bitmap:port' }
  const ips: SetSpec = { ...plain, type: 'hash:ip' }
  const cases: readonly (readonly [create: string, options: readonly string[], servesAs: readonly SetSpec[]])[] = [
    ['hash:ip,port', [], [plain]],
    ['hash:ip,port hashsize 2048 maxelem 5', [], [plain]],
    ['hash:ip,port skbinfo', ['skbinfo'], [marked]],
    ['hash:ip,port timeout 0', ['timeout'], []],
    [
      'hash:ip,port skbinfo timeout 9 counters comment forceadd',
      ['comment', 'counters', 'forceadd', 'skbinfo', 'timeout'],
      [],
    ],
    ['hash:ip,port family inet6', [], []],
    ['hash:ip', [], [ips]],
    ['hash:ip netmask 24', ['netmask'], []],
    ['bitmap:port range 0-65535', [], [ports]],
    ['bitmap:port range 1-65535', ['range'], []],
    ['bitmap:port range 0-32767', ['range'], []],
  ]
  for (const [create, options, servesAs] of cases) {
    sh(`ipset create WEIR-X ${create}`)
    const [header] = await ipset.list(signal)
    t.same(header?.options, options, create)
    const as = [plain, marked, ports, ips].filter((spec) => header !== undefined && serves(header, spec))
    t.same(as, servesAs, create)
    sh('ipset destroy WEIR-X')
  }
  for (const spec of [...specs, { ...marked, name: 'WEIR-M' }]) {
    await ipset.create(spec, signal)
    const header = (await ipset.list(signal)).find(({ name }) => name === spec.name)
    t.ok(header !== undefined && serves(header, spec), `our own ${spec.name}`)
  }
})

t.test('renames', async (t) => {
  const spec = { name: 'WEIR-A', type: 'hash:ip', family: 'IPv4', maxElements: 10 } as const
  await ipset.create(spec, signal)
  await ipset.create({ ...spec, name: 'WEIR-B' }, signal)
  await ipset.add(spec, [ipMember(ip('10.0.0.1'))], signal)
  await t.rejects(ipset.rename('WEIR-A', 'WEIR-B', signal), { code: 'exists', op: 'rename WEIR-A WEIR-B' })
  await t.rejects(ipset.rename('gone', 'WEIR-C', signal), { code: 'notFound' })
  await ipset.rename('WEIR-A', 'WEIR-C', signal)
  t.match(saved(), ['add WEIR-C 10.0.0.1', /^create WEIR-B /, /^create WEIR-C /])
  sh('iptables-legacy -A OUTPUT -m set --match-set WEIR-C dst -j ACCEPT')
  await t.rejects(ipset.rename('WEIR-C', 'WEIR-A', signal), { code: 'busy' })
})

t.test('a rule of either variant holds a set, and goes on with what is swapped in', async (t) => {
  const spec = { name: 'WEIR-A', type: 'hash:ip,port', family: 'IPv4', maxElements: 10 } as const
  const other = { ...spec, name: 'WEIR-B', maxElements: 1000 }
  const [one, two] = [ipPort(ip('192.0.2.1'), 'UDP', port(9)), ipPort(ip('192.0.2.2'), 'UDP', port(9))]
  for (const set of [spec, other]) await ipset.create(set, signal)
  await ipset.add(spec, [one], signal)
  await ipset.add(other, [two], signal)
  for (const variant of ['legacy', 'nft'])
    sh(`iptables-${variant} -A OUTPUT -m set --match-set WEIR-A dst,dst -j ACCEPT`)
  const references = async () => (await ipset.list(signal)).map((set) => [set.name, set.maxElements, set.references])
  t.same(await references(), [
    ['WEIR-A', 10, 2],
    ['WEIR-B', 1000, 0],
  ])
  await t.rejects(ipset.destroy('WEIR-A', signal), { name: 'IpsetError', code: 'busy', op: 'destroy WEIR-A' })
  await ipset.swap('WEIR-B', 'WEIR-A', signal)
  t.same(await references(), [
    ['WEIR-A', 1000, 2],
    ['WEIR-B', 10, 0],
  ])
  t.same(await ipset.members(spec, signal), [two])
  await ipset.destroy('WEIR-B', signal)
  sh('ipset test WEIR-A 192.0.2.2,udp:9')
})

t.test('refusals', async (t) => {
  const spec = { name: 'WEIR-A', type: 'hash:ip,port,net', family: 'IPv4', maxElements: 2 } as const
  const ports = { ...spec, name: 'WEIR-P', type: 'bitmap:port' } as const
  await ipset.create(spec, signal)
  sh('ipset create WEIR-P bitmap:port range 1-100')
  const refused = async (what: Promise<unknown>, expected: object): Promise<void> => {
    await t.rejects(what, { name: 'IpsetError', ...expected })
  }
  const member = (n: number): Member => ipPortNet(ip(`10.0.0.${n}`), 'TCP', port(80), cidr('10.0.0.0/8'))
  await refused(ipset.create(spec, signal), { code: 'exists', op: 'create WEIR-A' })
  await refused(ipset.create({ ...spec, type: 'bitmap:port' }, signal), { code: 'exists' })
  await refused(ipset.create({ ...spec, name: 'x'.repeat(32) }, signal), { code: 'invalid' })
  await refused(ipset.add({ ...spec, name: 'gone' }, [member(1)], signal), { code: 'notFound', op: 'add gone' })
  await refused(ipset.remove({ ...spec, name: 'gone' }, [member(1)], signal), { code: 'notFound', op: 'remove gone' })
  await refused(ipset.members({ ...spec, name: 'gone' }, signal), { code: 'notFound', op: 'list gone' })
  await refused(ipset.swap('WEIR-A', 'gone', signal), { code: 'notFound', op: 'swap WEIR-A gone' })
  await refused(ipset.swap('gone', 'WEIR-A', signal), { code: 'notFound' })
  await refused(ipset.swap('WEIR-A', 'WEIR-P', signal), { code: 'typeMismatch' })
  await refused(ipset.add({ ...spec, family: 'IPv6' }, ['fd00::1,tcp:80,fd00::/8' as Member], signal), {
    code: 'typeMismatch',
  })
  await refused(ipset.members({ ...spec, type: 'hash:ip,port' }, signal), { code: 'typeMismatch' })
  await refused(ipset.add(ports, [portMember(port(50)), portMember(port(101))], signal), {
    code: 'invalid',
    member: '101',
    message: /^add WEIR-P: 101: .*IPSET_ERR_BITMAP_RANGE/,
  })
  const all = ipPortNet(ip('10.0.0.1'), 'TCP', port(80), cidr('0.0.0.0/0'))
  await refused(ipset.add(spec, [all], signal), { code: 'invalid', member: all })
  // The first, twice, then one that does not fit: what came before it is in, what comes after is not.
  await refused(ipset.add(spec, [1, 1, 2, 1, 3, 4].map(member), signal), {
    code: 'full',
    member: member(3),
    message: /^add WEIR-A: 10\.0\.0\.3,tcp:80,10\.0\.0\.0\/8: .*IPSET_ERR_HASH_FULL/,
    cause: { name: 'KernelError', errno: 4352 },
  })
  t.same((await ipset.members(spec, signal)).toSorted(), [member(1), member(2)])
  await refused(ipset.remove(spec, [member(1), '1' as Member, member(2)], signal), { code: 'invalid', member: '1' })
  t.same(await ipset.members(spec, signal), [member(2)])
  await ipset.destroy('gone', signal)
})

t.test('without CAP_NET_ADMIN', async (t) => {
  const module = new URL('../../src/kernel/ipset/netlink-ipset.js', import.meta.url)
  const script = `const { openIpset } = await import('${module}')
    for (const call of [(ipset, signal) => ipset.list(signal), (ipset, signal) => ipset.destroy('A', signal)])
      await call(openIpset(), new AbortController().signal).then(() => console.log('done'), (error) => console.log(error.code))`
  const drop = ['--bounding-set=-net_admin', '--inh-caps=-net_admin']
  const { stdout } = spawnSync('setpriv', [...drop, process.execPath, '--input-type=module', '-e', script], {
    encoding: 'utf8',
  })
  t.equal(stdout, 'permission\npermission\n')
})

import { constants } from 'node:os'
import { describe, expect, it } from 'vitest'
import { ip, port } from '../../../test/support/lvs.ts'
import { fakeRun } from '../../kernel/exec/fake-run.ts'
import { FakeIpset } from '../../kernel/ipset/fake-ipset.ts'
import type { SetHeader } from '../../kernel/ipset/ipset.ts'
import { IpsetError } from '../../kernel/ipset/ipset-error.ts'
import { ipPort, ipPortMark, portMember } from '../../kernel/ipset/member.ts'
import { FakeIptables } from '../../kernel/iptables/fake-iptables.ts'
import { IptablesError } from '../../kernel/iptables/iptables-error.ts'
import type { Statement } from '../../kernel/iptables/restore-builder.ts'
import { type RuleText, ruleText } from '../../kernel/iptables/rule-text.ts'
import { parseSave } from '../../kernel/iptables/save-parser.ts'
import { FakeIpvs } from '../../kernel/ipvs/fake-ipvs.ts'
import { familyOfServer, type VirtualServerId } from '../../kernel/ipvs/ipvs.ts'
import { virtualServerName } from '../../kernel/ipvs/names.ts'
import { KernelError } from '../../kernel/netlink/error.ts'
import { FakeRoute } from '../../kernel/route/fake-route.ts'
import type { InterfaceAddress } from '../../kernel/route/interface-address.ts'
import { type Family, familyOf } from '../../model/ip.ts'
import type { Protocol } from '../../model/protocol.ts'
import { setSchema } from '../ipvs/schema.ts'
import { setName as ipvsSetName } from '../ipvs/sets.ts'
import { isKubeProxyChain, isKubeProxyJump } from '../kube-chains.ts'
import { isOurSet } from './ipset-leftovers.ts'
import { planTable } from './iptables-plan.ts'
import { isClean, noCounts } from './report.ts'
import { findLeftovers, type InUse, removeLeftovers, type TakeoverKernel } from './takeover.ts'

const { signal } = new AbortController()
const hash = 'NPX46M4PTMTKRN6Y'

const nodeWith = (parts: Partial<TakeoverKernel> = {}): TakeoverKernel => ({
  run: fakeRun({}).run,
  iptables: [],
  ipset: new FakeIpset(),
  ipvs: new FakeIpvs({ available: false }),
  route: new FakeRoute(),
  close: () => {},
  ...parts,
})

describe('chain names', () => {
  it.each([
    ['nat', `KUBE-SVC-${hash}`],
    ['nat', `KUBE-XLB-${hash}`],
    ['nat', 'KUBE-MARK-MASQ'],
    ['filter', 'KUBE-IPVS-OUT-FILTER'],
    ['mangle', 'KUBE-PROXY-CANARY'],
  ] as const)('%s %s is kube-proxy’s', (table, chain) => {
    expect(isKubeProxyChain(table, chain)).toBe(true)
  })

  it.each([
    ['filter', `KUBE-SVC-${hash}`],
    ['nat', `KUBE-SVC-${hash}A`],
    ['nat', `KUBE-SVC-${hash.toLowerCase()}`],
    ['nat', 'KUBE-SEP-0189ABCDEFGHIJKL'],
    ['nat', `KUBE-ROUTER-${hash}`],
    ['nat', 'KUBE-MARK-DROP'],
    ['nat', 'KUBE-KUBELET-CANARY'],
    ['nat', 'KUBE-HOSTPORTS'],
    ['filter', 'KUBE-FIREWALL'],
    ['mangle', 'KUBE-IPTABLES-HINT'],
    ['raw', 'KUBE-PROXY-CANARY'],
  ] as const)('%s %s is not', (table, chain) => {
    expect(isKubeProxyChain(table, chain)).toBe(false)
  })
})

describe('isKubeProxyJump', () => {
  it.each([
    '-m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD',
    '-m conntrack --ctstate NEW -m comment --comment "kubernetes service portals" -j KUBE-SERVICES',
    '-m comment --comment "kubernetes service portals" -m conntrack --ctstate NEW -j KUBE-SERVICES',
  ])('%s', (rule) => {
    expect(isKubeProxyJump(rule as RuleText)).toBe(true)
  })

  it.each([
    '-j KUBE-SERVICES',
    '-m comment --comment "my portals" -j KUBE-SERVICES',
    '-i eth0 -m comment --comment "kubernetes service portals" -j KUBE-SERVICES',
    '-m comment --comment "kubernetes service portals" -g KUBE-SERVICES',
    '-m comment --comment "kubernetes service portals" -j KUBE-MARK-MASQ',
    '-m conntrack --ctstate NEW -j KUBE-SERVICES',
    '',
  ])('not %s', (rule) => {
    expect(isKubeProxyJump(rule as RuleText)).toBe(false)
  })
})

describe('planTable', () => {
  const plan = (chains: string, rules: string) => {
    const [table] = parseSave(`*nat\n:PREROUTING ACCEPT [0:0]\n${chains}${rules}COMMIT\n`).tables
    if (table === undefined) throw new Error('no table')
    return planTable(table, { inUse: undefined, kubelet: true })
  }

  it('removes jumps, then rules, then chains', () => {
    const { statements } = plan(
      `:KUBE-SERVICES - [0:0]\n:KUBE-SVC-${hash} - [0:0]\n`,
      `-A PREROUTING -i eth0 -j KUBE-SERVICES\n-A KUBE-SERVICES -j KUBE-SVC-${hash}\n-A PREROUTING -j ACCEPT\n`,
    )
    expect(statements).toEqual([
      { kind: 'delete', chain: 'PREROUTING', rule: '-i eth0 -j KUBE-SERVICES' },
      { kind: 'flush', chain: 'KUBE-SERVICES' },
      { kind: 'flush', chain: `KUBE-SVC-${hash}` },
      { kind: 'deleteChain', chain: 'KUBE-SERVICES' },
      { kind: 'deleteChain', chain: `KUBE-SVC-${hash}` },
    ])
  })

  it('keeps what foreign rules lead to, and no more', () => {
    const { statements, foreignRules, keptChains } = plan(
      `:KUBE-SERVICES - [0:0]\n:KUBE-SVC-${hash} - [0:0]\n:KUBE-MARK-MASQ - [0:0]\n:KUBE-NODEPORTS - [0:0]\n:mine - [0:0]\n`,
      `-A PREROUTING -j KUBE-SERVICES
-A PREROUTING -s 192.0.2.0/24 -j KUBE-MARK-MASQ
-A PREROUTING -g KUBE-SERVICES
-A mine -j KUBE-SVC-${hash}
-A KUBE-SERVICES -j KUBE-NODEPORTS
-A KUBE-SVC-${hash} -j KUBE-MARK-MASQ
`,
    )
    expect(foreignRules.map(({ rule }) => rule)).toEqual([
      '-s 192.0.2.0/24 -j KUBE-MARK-MASQ',
      '-g KUBE-SERVICES',
      `-j KUBE-SVC-${hash}`,
    ])
    expect([...keptChains].sort()).toEqual(['KUBE-MARK-MASQ', 'KUBE-NODEPORTS', 'KUBE-SERVICES', `KUBE-SVC-${hash}`])
    expect(statements).toEqual([{ kind: 'delete', chain: 'PREROUTING', rule: '-j KUBE-SERVICES' }])
  })

  it('is empty for a table without kube-proxy', () => {
    expect(plan(':KUBE-HOSTPORTS - [0:0]\n', '-A PREROUTING -j KUBE-HOSTPORTS\n')).toEqual({
      statements: [],
      chains: 0,
      jumps: 0,
      foreignRules: [],
      keptChains: [],
    })
  })
})

describe('set names', () => {
  it('of kube-proxy are 17 of each family, cut where the kernel’s limit is', () => {
    const ofKubeProxy = [
      ...['LOOP-BACK', 'CLUSTER-IP', 'EXTERNAL-IP', 'EXTERNAL-IP-LOCAL', 'LOAD-BALANCER', 'LOAD-BALANCER-LOCAL'],
      ...['LOAD-BALANCER-FW', 'LOAD-BALANCER-SOURCE-CIDR', 'LOAD-BALANCER-SOURCE-IP', 'NODE-PORT-TCP', 'NODE-PORT-UDP'],
      ...['NODE-PORT-LOCAL-TCP', 'NODE-PORT-LOCAL-UDP', 'NODE-PORT-SCTP-HASH', 'NODE-PORT-LOCAL-SCTP-HASH'],
      ...['HEALTH-CHECK-NODE-PORT', 'IPVS-IPS'],
    ]
    expect(ofKubeProxy).toHaveLength(17)
    for (const name of ofKubeProxy) {
      expect(isOurSet(`KUBE-${name}`)).toBe(true)
      expect(isOurSet(`KUBE-6-${name}`.slice(0, 31))).toBe(true)
      expect(isOurSet(`KUBE-6-${name}X`)).toBe(false)
    }
    expect(isOurSet('KUBE-6-NODE-PORT-LOCAL-SCTP-HASH')).toBe(false)
  })
})

describe('iptables', () => {
  const jump = ruleText('-m', 'comment', '--comment', 'kubernetes service portals', '-j', 'KUBE-SERVICES')
  const programmed = async (): Promise<FakeIptables> => {
    const iptables = new FakeIptables('legacy', 'IPv4')
    const statements: readonly Statement[] = [
      { kind: 'chain', chain: 'KUBE-SERVICES' },
      { kind: 'append', chain: 'OUTPUT', rule: jump },
      { kind: 'policy', chain: 'OUTPUT', policy: 'DROP', counters: { packets: 5n, bytes: 500n } },
    ]
    await iptables.restore([{ table: 'nat', statements }], signal)
    return iptables
  }
  const locked = new IptablesError('locked', 'iptables-legacy-restore', 'lock')
  const rejected = new IptablesError('rejected', 'iptables-legacy-restore', 'line 2 failed')

  it('keeps policies and their counters', async () => {
    const iptables = await programmed()
    expect((await removeLeftovers(signal, { kernel: nodeWith({ iptables: [iptables] }) })).counts).toEqual({
      ...noCounts,
      chains: 1,
      jumps: 1,
    })
    const [nat] = (await iptables.save(signal)).tables
    expect(nat?.rules).toEqual([])
    expect(nat?.chains.get('OUTPUT')).toMatchObject({ policy: 'DROP', counters: { packets: 5n, bytes: 500n } })
  })

  it.each([locked, rejected])('tries once more ($code)', async (error) => {
    const iptables = await programmed()
    iptables.failNext(error)
    const report = await removeLeftovers(signal, { kernel: nodeWith({ iptables: [iptables] }) })
    expect(report).toMatchObject({ counts: { chains: 1 }, errors: [] })
  })

  it.each([locked, rejected])('then gives up, and says so ($code)', async (error) => {
    const iptables = await programmed()
    iptables.failNext(error)
    iptables.failNext(error)
    const report = await removeLeftovers(signal, { kernel: nodeWith({ iptables: [iptables] }) })
    expect(report.counts).toEqual(noCounts)
    expect(report.errors).toMatchObject([{ code: 'iptables-legacy', op: 'clear iptables table nat', cause: error }])
  })

  it('reports legacy tables that it has no tool for', async () => {
    const iptables = await programmed()
    iptables.save = async () => {
      throw new IptablesError('missing', 'iptables-legacy-save', 'ENOENT')
    }
    const report = await removeLeftovers(signal, { kernel: nodeWith({ iptables: [iptables] }) })
    expect(report).toEqual({
      counts: noCounts,
      left: [{ area: 'iptables-legacy', what: 'iptables nat', why: 'iptables-legacy is not installed' }],
      errors: [],
    })
  })

  it('spares what mode iptables programs, in that variant and family alone', async () => {
    const iptables = await Promise.all(
      (['legacy', 'nft'] as const).flatMap((variant) =>
        (['IPv4', 'IPv6'] as const).map(async (family) => {
          const client = new FakeIptables(variant, family)
          await client.restore([{ table: 'nat', statements: [{ kind: 'chain', chain: 'KUBE-SERVICES' }] }], signal)
          return client
        }),
      ),
    )
    const inUse: InUse = { mode: 'iptables', variant: 'nft', families: ['IPv4'] }
    const { counts } = await removeLeftovers(signal, { kernel: nodeWith({ iptables }), inUse })
    expect(counts.chains).toBe(3)
    const written = iptables.map(({ variant, family, restores }) => [variant, family, restores.length])
    expect(written).toContainEqual(['nft', 'IPv4', 1])
  })

  it('leaves out what is not asked for', async () => {
    const kernel = nodeWith({ iptables: [await programmed()] })
    expect(isClean(await removeLeftovers(signal, { kernel, only: ['iptables-nft', 'ipset'] }))).toBe(true)
    expect((await findLeftovers(signal, { kernel })).counts.chains).toBe(1)
  })
})

describe('ipset', () => {
  const set = (name: string, references = 0): SetHeader => ({
    name,
    type: 'hash:ip',
    family: 'IPv4',
    maxElements: 65_536,
    options: [],
    entries: 0,
    references,
  })

  it('destroys only kube-proxy’s, and only unused ones', async () => {
    const names = ['KUBE-CLUSTER-IP', 'KUBE-6-CLUSTER-IP', 'KUBE-CLUSTER-IP2', 'KUBE-SRC-X']
    const ipset = new FakeIpset([...names.map((name) => set(name)), set('KUBE-IPVS-IPS', 1)])
    const report = await removeLeftovers(signal, { kernel: nodeWith({ ipset }) })
    expect(report.counts.sets).toBe(2)
    expect(report.left).toEqual([{ area: 'ipset', what: 'KUBE-IPVS-IPS', why: 'still in use, 1 reference' }])
    expect((await ipset.list(signal)).map(({ name }) => name)).toEqual([
      'KUBE-CLUSTER-IP2',
      'KUBE-SRC-X',
      'KUBE-IPVS-IPS',
    ])
  })

  it('destroys ours, of every role and temporary ones, where they are not in use', async () => {
    const names = ['WEIR-4-CLUSTER-IP', 'WEIR-4-CLUSTER-IP-1', 'WEIR-6-NP-TCP', 'WEIR-5-X', 'WEIRD', 'KUBE-CLUSTER-IP']
    const left = async (inUse?: InUse): Promise<readonly string[]> => {
      const ipset = new FakeIpset(names.map((name) => set(name)))
      await removeLeftovers(signal, { kernel: nodeWith({ ipset }), ...(inUse === undefined ? {} : { inUse }) })
      return (await ipset.list(signal)).map(({ name }) => name)
    }
    expect(await left()).toEqual(['WEIR-5-X', 'WEIRD'])
    expect(await left({ mode: 'iptables', variant: 'nft', families: ['IPv4', 'IPv6'] })).toEqual(names.slice(0, -1))
    expect(await left({ mode: 'iptables', variant: 'nft', families: ['IPv6'] })).toEqual([
      'WEIR-6-NP-TCP',
      'WEIR-5-X',
      'WEIRD',
    ])
  })

  it('destroys what mode ipvs has where mode iptables is in use, and the other way round', async () => {
    const ofIpvs = (['IPv4', 'IPv6'] as const).flatMap((family) =>
      (['INSIDE', 'CLUSTER-IP'] as const).map((role) => ipvsSetName(role, family)),
    )
    const left = async (mode: InUse['mode'], families: InUse['families']): Promise<readonly string[]> => {
      const ipset = new FakeIpset([...ofIpvs, 'WEIR-4-NP-TCP', 'WEIR-6-NP-UDP'].map((name) => set(name)))
      await removeLeftovers(signal, { kernel: nodeWith({ ipset }), inUse: { mode, variant: 'legacy', families } })
      return (await ipset.list(signal)).map(({ name }) => name)
    }
    expect(await left('iptables', ['IPv4', 'IPv6'])).toEqual(['WEIR-4-NP-TCP', 'WEIR-6-NP-UDP'])
    expect(await left('ipvs', ['IPv4', 'IPv6'])).toEqual(ofIpvs)
    expect(await left('ipvs', ['IPv4'])).toEqual(ofIpvs.slice(0, 2))
  })

  it('goes on after one that fails', async () => {
    const error = new IpsetError({ code: 'io', op: 'destroy KUBE-CLUSTER-IP', reason: 'no' })
    class Failing extends FakeIpset {
      override destroy(name: string, signal: AbortSignal): Promise<void> {
        return name === 'KUBE-CLUSTER-IP' ? Promise.reject(error) : super.destroy(name, signal)
      }
    }
    const ipset = new Failing([set('KUBE-CLUSTER-IP'), set('KUBE-IPVS-IPS')])
    const report = await removeLeftovers(signal, { kernel: nodeWith({ ipset }) })
    expect(report).toMatchObject({ counts: { sets: 1 }, errors: [{ code: 'ipset', cause: error }] })
  })
})

describe('what was opened', () => {
  it('is closed, whether the search ends or is given up', async () => {
    let closed = 0
    const close = (): void => {
      closed++
    }
    await findLeftovers(signal, { kernel: nodeWith({ close }) })
    expect(closed).toBe(1)
    const stop = new AbortController()
    class Stopping extends FakeIpset {
      override list(): never {
        stop.abort(new Error('enough'))
        throw stop.signal.reason
      }
    }
    const kernel = nodeWith({ close, ipset: new Stopping() })
    await expect(removeLeftovers(stop.signal, { kernel })).rejects.toThrow('enough')
    expect(closed).toBe(2)
  })
})

describe('IPVS', () => {
  const address = (text: string, name: string, index: number): InterfaceAddress => {
    const parsed = ip(text)
    return { ip: parsed, family: familyOf(parsed), interface: name, index, scope: 'global', loopback: false }
  }
  const node = (): FakeRoute => {
    const route = new FakeRoute()
    route.setAddresses([
      address('192.0.2.1', 'eth0', 2),
      address('2001:db8::1', 'eth0', 2),
      address('10.96.0.1', 'kube-ipvs0', 3),
      address('fd00:96::10', 'kube-ipvs0', 3),
    ])
    return route
  }
  const at = (protocol: Protocol, text: string, port: number): VirtualServerId => ({
    kind: 'address',
    protocol,
    ip: ip(text),
    port,
  })
  const mark = (family: Family, value: number): VirtualServerId => ({ kind: 'mark', family, mark: value })

  /** One of the device, one of each set and family, and foreign ones that look alike. */
  const ours = [
    at('TCP', '10.96.0.1', 443),
    at('UDP', 'fd00:96::10', 53),
    at('TCP', '192.0.2.1', 30_000),
    at('UDP', '192.0.2.1', 30_001),
    at('SCTP', '192.0.2.1', 30_002),
    at('TCP', '2001:db8::1', 30_000),
    at('TCP', '203.0.113.5', 80),
    at('TCP', '203.0.113.6', 80),
    at('UDP', '203.0.113.7', 80),
    at('TCP', 'fd00:96::99', 80),
    mark('IPv4', 0x10001),
    mark('IPv6', 0x10002),
  ]
  const foreign = [
    at('UDP', '192.0.2.1', 30_000),
    at('TCP', '192.0.2.1', 30_001),
    at('SCTP', '192.0.2.1', 30_000),
    at('TCP', '192.0.2.2', 30_000),
    at('UDP', '2001:db8::1', 30_001),
    at('TCP', '203.0.113.5', 81),
    at('UDP', '203.0.113.5', 80),
    at('TCP', '203.0.113.8', 80),
    mark('IPv4', 0x10002),
    mark('IPv6', 0x10001),
    mark('IPv4', 7),
  ]
  const sets = [
    { family: 'IPv4', role: 'NODE-PORT-TCP', members: [portMember(port(30_000))] },
    { family: 'IPv4', role: 'NODE-PORT-UDP', members: [portMember(port(30_001))] },
    { family: 'IPv4', role: 'NODE-PORT-SCTP', members: [ipPort(ip('192.0.2.1'), 'SCTP', port(30_002))] },
    { family: 'IPv6', role: 'NODE-PORT-TCP', members: [portMember(port(30_000))] },
    { family: 'IPv4', role: 'EXTERNAL-IP', members: [ipPort(ip('203.0.113.5'), 'TCP', port(80))] },
    { family: 'IPv4', role: 'EXTERNAL-IP-LOCAL', members: [ipPort(ip('203.0.113.6'), 'TCP', port(80))] },
    { family: 'IPv4', role: 'LOAD-BALANCER', members: [ipPort(ip('203.0.113.7'), 'UDP', port(80))] },
    { family: 'IPv6', role: 'CLUSTER-IP', members: [ipPort(ip('fd00:96::99'), 'TCP', port(80))] },
    { family: 'IPv4', role: 'INSIDE', members: [ipPortMark(ip('203.0.113.6'), 'TCP', port(80), 0x10001)] },
    { family: 'IPv6', role: 'INSIDE', members: [ipPortMark(ip('fd00:96::98'), 'TCP', port(80), 0x10002)] },
    // What nobody is served at says nothing.
    { family: 'IPv4', role: 'LOAD-BALANCER-FW', members: [ipPort(ip('203.0.113.8'), 'TCP', port(80))] },
  ] as const

  const setNames = async (ipset: FakeIpset): Promise<readonly string[]> =>
    (await ipset.list(signal)).map(({ name }) => name)
  const withSets = async (): Promise<FakeIpset> => {
    const ipset = new FakeIpset()
    for (const { family, role, members } of sets) {
      const ref = setSchema(family).ref(role)
      await ipset.create({ ...ref, maxElements: 1024 }, signal)
      await ipset.add(ref, members, signal)
    }
    return ipset
  }
  const table = async (): Promise<FakeIpvs> => {
    const ipvs = new FakeIpvs()
    const changes = [...ours, ...foreign].map((id) => {
      const persistencePrefix = familyOfServer(id) === 'IPv4' ? 32 : 128
      const server = { id, scheduler: 'rr', flags: [], persistenceSeconds: 0, persistencePrefix }
      return { kind: 'addVirtualServer', server } as const
    })
    expect(await ipvs.apply(changes, signal)).toEqual([])
    return ipvs
  }
  const names = (ids: readonly VirtualServerId[]): readonly string[] => ids.map(virtualServerName).sort()
  const left = async (ipvs: FakeIpvs): Promise<readonly string[]> =>
    names((await ipvs.virtualServers(signal)).map(({ id }) => id))

  it('removes the virtual servers of device and sets, then device and sets, and no others', async () => {
    const [ipvs, ipset, route] = [await table(), await withSets(), node()]
    const kernel = nodeWith({ ipvs, ipset, route })
    const counts = { ...noCounts, virtualServers: ours.length, devices: 1, sets: sets.length }
    expect((await findLeftovers(signal, { kernel })).counts).toEqual(counts)
    expect(await left(ipvs)).toEqual(names([...ours, ...foreign]))
    ipvs.datagrams = 0
    expect(await removeLeftovers(signal, { kernel })).toEqual({ counts, left: [], errors: [] })
    expect(ipvs.datagrams).toBe(1)
    expect(await left(ipvs)).toEqual(names(foreign))
    expect((await route.listAddresses(signal)).map((found) => found.ip)).toEqual(['192.0.2.1', '2001:db8::1'])
    expect(await setNames(ipset)).toEqual([])
  })

  it('spares what mode ipvs programs in one family, and clears the other', async () => {
    const [ipvs, ipset, route] = [await table(), await withSets(), node()]
    const inUse: InUse = { mode: 'ipvs', variant: 'legacy', families: ['IPv4'] }
    const report = await removeLeftovers(signal, { kernel: nodeWith({ ipvs, ipset, route }), inUse })
    const isIPv4 = (id: VirtualServerId): boolean => familyOfServer(id) === 'IPv4'
    const removed = ours.filter((id) => !isIPv4(id))
    expect(report).toMatchObject({ counts: { virtualServers: removed.length, devices: 0 }, errors: [], left: [] })
    expect(await left(ipvs)).toEqual(names([...ours.filter(isIPv4), ...foreign]))
    expect((await route.listAddresses(signal)).filter((found) => found.interface === 'kube-ipvs0')).toMatchObject([
      { ip: '10.96.0.1' },
    ])
    expect((await setNames(ipset)).filter((name) => name.includes('-6-'))).toEqual([])
  })

  it('does not load IPVS, and removes the device without it', async () => {
    const ipvs = new FakeIpvs()
    const report = await removeLeftovers(signal, { kernel: nodeWith({ ipvs, route: node() }) })
    expect(report).toEqual({ counts: { ...noCounts, devices: 1 }, left: [], errors: [] })
    expect(await ipvs.loaded(signal)).toBe(false)
  })

  it('goes by the device where a set of that name is another', async () => {
    const ipset = new FakeIpset()
    const odd = { name: 'KUBE-NODE-PORT-TCP', type: 'hash:ip,port', family: 'IPv4', maxElements: 8 } as const
    await ipset.create(odd, signal)
    const kernel = nodeWith({ ipvs: await table(), ipset, route: node() })
    expect((await findLeftovers(signal, { kernel })).counts.virtualServers).toBe(2)
  })

  it('does not mind one that is gone meanwhile', async () => {
    const ipvs = await table()
    ipvs.refuse({ matches: ({ kind }) => kind === 'deleteVirtualServer', errno: constants.errno.ESRCH })
    const report = await removeLeftovers(signal, { kernel: nodeWith({ ipvs, route: node() }) })
    expect(report).toMatchObject({ counts: { virtualServers: 2, devices: 1 }, left: [], errors: [] })
  })

  it('keeps device and sets while a virtual server is there that they are about', async () => {
    const [ipvs, ipset, route] = [await table(), await withSets(), node()]
    ipvs.refuse({
      matches: (change) => change.kind === 'deleteVirtualServer' && change.id.kind === 'mark',
      errno: constants.errno.ENOMEM,
      detail: 'not today',
    })
    const report = await removeLeftovers(signal, { kernel: nodeWith({ ipvs, ipset, route }) })
    expect(report.counts).toEqual({ ...noCounts, virtualServers: ours.length - 2 })
    expect(report.errors.map(({ message }) => message)).toEqual([
      expect.stringContaining('-D -f 65537: ENOMEM: not today'),
      expect.stringContaining('-D -f 65538 -6: ENOMEM: not today'),
    ])
    expect(report.left.map(({ what }) => what)).toEqual(['kube-ipvs0', 'every set'])
    expect(await route.findLink('kube-ipvs0', signal)).toBeDefined()
    expect(await setNames(ipset)).toHaveLength(sets.length)
  })

  it('keeps both when the table cannot be read', async () => {
    const [ipvs, ipset, route] = [await table(), await withSets(), node()]
    ipvs.failNext(KernelError.ofErrno('list virtual servers', constants.errno.EPERM))
    const report = await removeLeftovers(signal, { kernel: nodeWith({ ipvs, ipset, route }) })
    expect(report).toMatchObject({ counts: noCounts, errors: [{ code: 'ipvs', cause: { code: 'permission' } }] })
    expect(await route.findLink('kube-ipvs0', signal)).toBeDefined()
    expect(await setNames(ipset)).toHaveLength(sets.length)
  })
})

describe('nftables', () => {
  const node = (tables: string, onDelete: () => string | { status: number; stdout: string; stderr: string }) =>
    fakeRun({ nft: (args) => (args[0] === 'list' ? tables : onDelete()) })

  it('deletes exactly the two tables', async () => {
    const { run, calls } = node(
      'table inet kube-proxy\ntable ip kube-proxy\ntable ip kube-proxy2\ntable ip6 kube-proxy\n',
      () => '',
    )
    expect((await removeLeftovers(signal, { kernel: nodeWith({ run }) })).counts.nftTables).toBe(2)
    expect(calls.slice(1)).toEqual([
      ['nft', 'delete', 'table', 'ip', 'kube-proxy'],
      ['nft', 'delete', 'table', 'ip6', 'kube-proxy'],
    ])
  })

  it('does not mind a table that goes meanwhile, but reports a refusal', async () => {
    const answer = (stderr: string) => node('table ip kube-proxy\n', () => ({ status: 1, stdout: '', stderr })).run
    const gone = nodeWith({ run: answer('Error: No such file or directory') })
    expect(await removeLeftovers(signal, { kernel: gone })).toEqual({ counts: noCounts, left: [], errors: [] })
    const owned = nodeWith({ run: answer('Error: Could not process rule: Operation not permitted') })
    expect((await removeLeftovers(signal, { kernel: owned })).errors).toMatchObject([{ code: 'nftables' }])
  })

  it('skips a kernel without nf_tables', async () => {
    const { run } = fakeRun({
      nft: () => ({ status: 1, stdout: '', stderr: 'Unable to initialize Netlink socket: Protocol not supported' }),
    })
    expect(await removeLeftovers(signal, { kernel: nodeWith({ run }) })).toMatchObject({ errors: [] })
  })
})

describe('abort', () => {
  it('rejects', async () => {
    const aborted = AbortSignal.abort(new Error('enough'))
    await expect(removeLeftovers(aborted, { kernel: nodeWith() })).rejects.toThrow('enough')
    await expect(findLeftovers(aborted, { kernel: nodeWith() })).rejects.toThrow('enough')
  })

  it('rejects in the middle, too', async () => {
    const iptables = new FakeIptables('nft', 'IPv6')
    await iptables.restore([{ table: 'nat', statements: [{ kind: 'chain', chain: 'KUBE-SERVICES' }] }], signal)
    const stop = new AbortController()
    iptables.update = async () => {
      stop.abort(new Error('enough'))
      throw stop.signal.reason
    }
    await expect(removeLeftovers(stop.signal, { kernel: nodeWith({ iptables: [iptables] }) })).rejects.toThrow('enough')
  })
})

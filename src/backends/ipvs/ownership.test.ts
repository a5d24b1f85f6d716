import { beforeEach, describe, expect, it } from 'vitest'
import { cluster, drop, nodeAddresses, plain, put } from '../../../test/kernel/sync-cluster.ts'
import { dumpServers } from '../../../test/kernel/sync-ipvs-dump.ts'
import { fakeServerKernel } from '../../../test/kernel/sync-ipvs-kernel.ts'
import { IpvsRig } from '../../../test/kernel/sync-ipvs-rig.ts'
import { never } from '../../../test/kernel/sync-rig.ts'
import { cidr, ip, port, service } from '../../../test/property/track-objects.ts'
import type { SetHeader } from '../../kernel/ipset/ipset.ts'
import { ipPort } from '../../kernel/ipset/member.ts'
import { ruleText } from '../../kernel/iptables/rule-text.ts'
import type { RealServer, VirtualServer } from '../../kernel/ipvs/ipvs.ts'
import { changeLine } from '../../kernel/ipvs/names.ts'
import { setSchema } from './schema.ts'

const server = (address: string): VirtualServer => ({
  id: { kind: 'address', protocol: 'TCP', ip: ip(address), port: 80 },
  ...{ scheduler: 'wlc', flags: [], persistenceSeconds: 0, persistencePrefix: 32 },
})
const marked = (mark: number): VirtualServer => ({ ...server('0.0.0.0'), id: { kind: 'mark', family: 'IPv4', mark } })
const realServer = (address: string): RealServer => ({
  ...{ ip: ip(address), port: 8080, forwarding: 'masquerade', weight: 1, upperThreshold: 0, lowerThreshold: 0 },
})

let kernel: ReturnType<typeof fakeServerKernel>
beforeEach(() => {
  kernel = fakeServerKernel()
})

const make = async (...servers: readonly VirtualServer[]): Promise<void> => {
  for (const each of servers)
    expect(
      await kernel.ipvs.apply(
        [
          { kind: 'addVirtualServer', server: each },
          { kind: 'addRealServer', id: each.id, server: realServer('10.9.9.9') },
        ],
        never,
      ),
    ).toEqual([])
}
const start = async (over: ConstructorParameters<typeof IpvsRig>[0]['over'] = {}, ...changes: typeof cluster) => {
  const rig = new IpvsRig({ kernel, over })
  rig.setAddresses(nodeAddresses)
  rig.apply(...(changes.length > 0 ? changes : cluster))
  await rig.mustSync()
  return rig
}
const touched = (): readonly string[] => kernel.ipvs.applied.map(changeLine)

describe('virtual servers of others', () => {
  it('stay: by address, and by mark, which none of ours gets', async () => {
    await make(server('198.51.100.1'), marked(0x1001), marked(7))
    const before = (await dumpServers(kernel)).servers
    const rig = await start()
    const after = (await dumpServers(kernel)).servers
    expect(after).toMatchObject({ '-A -t 198.51.100.1:80 -s wlc': before['-A -t 198.51.100.1:80 -s wlc'] })
    expect(touched().filter((line) => line.startsWith('-D'))).toEqual([])
    expect(touched()).toContain('-A -f 4098 -s rr')
    rig.close()
    const again = await start()
    expect(again.journal.lines).toEqual([])
    again.close()
    for (const backend of again.backends) await backend.cleanup(never)
    expect((await kernel.ipvs.virtualServers(never)).length).toBe(3)
  })

  it('stay when they were made after the start, and have the mark that would be next', async () => {
    const rig = await start({}, ...plain(1))
    await make(marked(0x1001))
    rig.apply(
      put(
        service('ns/near', {
          clusterIPs: [ip('10.96.0.8')],
          externalPolicy: 'Local',
          externalIPs: [ip('203.0.113.8')],
        }),
      ),
    )
    await rig.mustSync().catch(() => rig.mustSync())
    rig.close()
    const marks = (await kernel.ipvs.virtualServers(never)).flatMap(({ id, scheduler }) =>
      id.kind === 'mark' ? [`${id.mark} ${scheduler}`] : [],
    )
    expect(marks.toSorted()).toEqual([`${0x1001} wlc`, `${0x1002} rr`])
    expect(await kernel.ipvs.realServers(marked(0x1001).id, never)).toMatchObject([{ ip: '10.9.9.9' }])
  })

  it('are taken over at an address that a Service has; their real servers drain', async () => {
    await make(server('10.96.0.1'))
    kernel.ipvs.setConnections(server('10.96.0.1').id, realServer('10.9.9.9'), { active: 1 })
    const rig = await start()
    const { servers } = await dumpServers(kernel)
    expect(servers['-A -t 10.96.0.1:80 -s rr']).toEqual([
      ...['10.0.1.1', '10.0.1.2', '10.0.1.3'].map((each) => `-a -t 10.96.0.1:80 -r ${each}:8080 -m -w 1`),
      '-a -t 10.96.0.1:80 -r 10.9.9.9:8080 -m -w 0',
    ])
    rig.close()
  })

  it('stay at addresses of kube-ipvs0, at ports that no Service has', async () => {
    const rig = await start()
    rig.close()
    const mine = { ...server('10.96.0.1'), id: { ...server('10.96.0.1').id, port: 9999 } } as const
    await make(mine, server('198.51.100.5'))
    await kernel.route.changeAddresses('kube-ipvs0', { add: [ip('198.51.100.5')], remove: [] }, never)
    const again = await start()
    expect(again.journal.lines).toEqual([])
    again.close()
    for (const backend of again.backends) await backend.cleanup(never)
    const { servers } = await dumpServers(kernel)
    expect(Object.keys(servers)).toEqual(['-A -t 10.96.0.1:9999 -s wlc', '-A -t 198.51.100.5:80 -s wlc'])
  })

  it.each([
    ['somebody has emptied a set', ['KUBE-CLUSTER-IP']],
    ['kube-proxy ended before it wrote sets', ['KUBE-CLUSTER-IP', 'KUBE-IPVS-IPS', 'WEIR-IPVS-NODE-PORT']],
  ])('go at addresses of kube-ipvs0 that no set knows: %s', async (_, names) => {
    const rig = await start({}, ...plain(1), ...plain(2))
    rig.close()
    const { roles, ref } = setSchema('IPv4')
    for (const set of roles.map(ref).filter(({ name }) => names.includes(name)))
      if (set.name.startsWith('WEIR')) await kernel.ipset.destroy(set.name, never)
      else await kernel.ipset.remove(set, await kernel.ipset.members(set, never), never)
    const again = await start({}, ...plain(1))
    again.close()
    expect(touched().filter((line) => line.startsWith('-D'))).toContain('-D -t 10.96.0.2:80')
  })

  it('that an earlier run or kube-proxy made go: sets say so', async () => {
    const set = { name: 'KUBE-CLUSTER-IP', type: 'hash:ip,port', family: 'IPv4', maxElements: 65_536 } as const
    await kernel.ipset.create(set, never)
    await kernel.ipset.add(set, [ipPort(ip('10.96.0.77'), 'TCP', port(80))], never)
    await make(server('10.96.0.77'), server('10.96.0.78'))
    const rig = await start()
    expect(touched().filter((line) => line.startsWith('-D'))).toEqual(['-D -t 10.96.0.77:80'])
    rig.close()
  })
})

it('in excluded networks nothing is deleted, but what is wanted is made', async () => {
  const over = { excludeCidrs: [cidr('10.96.0.0/24')] }
  const rig = await start(over, ...plain(1), ...plain(2))
  expect(touched()).toContain('-A -t 10.96.0.1:80 -s rr')
  rig.apply(drop('ns/plain-1'))
  await rig.mustSync()
  rig.close()
  const again = await start(over, ...plain(2))
  again.close()
  expect(touched().filter((line) => line.startsWith('-D'))).toEqual(['-D -t [fd00::1]:80'])
  const { servers, addresses } = await dumpServers(kernel)
  expect(servers).toHaveProperty('-A -t 10.96.0.1:80 -s rr')
  expect(addresses).toEqual(['kube-ipvs0 10.96.0.2', 'kube-ipvs0 fd00::2'])
})

describe('clean-up', () => {
  it('removes what is ours and nothing else, one family after the other', async () => {
    await make(server('198.51.100.1'))
    await kernel.route.ensureDummy('kube-ipvs0', never)
    const rig = await start()
    rig.close()
    const [one, other] = rig.backends
    await one?.cleanup(never)
    const half = await dumpServers(kernel)
    expect(Object.keys(half.servers).filter((line) => !line.includes('['))).toEqual([
      '-A -t 198.51.100.1:80 -s wlc',
      '-A -f IPv6 2001:db8::1,tcp:80 -s rr',
    ])
    expect(half.addresses.every((line) => line.includes(':'))).toBe(true)
    expect(await kernel.route.findLink('kube-ipvs0', never)).toBeDefined()
    await other?.cleanup(never)
    const { servers, sets, chains, addresses } = await dumpServers(kernel)
    expect(Object.keys(servers)).toEqual(['-A -t 198.51.100.1:80 -s wlc'])
    expect([sets, addresses]).toEqual([{}, []])
    expect(Object.entries(chains).filter(([name, rules]) => rules.length > 0 || /KUBE|WEIR/.test(name))).toEqual([])
    expect(await kernel.route.findLink('kube-ipvs0', never)).toBeUndefined()
    await one?.cleanup(never)
  })

  it('takes what kube-proxy has bound, in sets or not', async () => {
    await kernel.route.ensureDummy('kube-ipvs0', never)
    await kernel.route.changeAddresses('kube-ipvs0', { add: [ip('10.96.0.1'), ip('10.96.0.66')], remove: [] }, never)
    const rig = await start({}, ...plain(1))
    rig.close()
    expect((await dumpServers(kernel)).addresses).toEqual(['kube-ipvs0 10.96.0.1', 'kube-ipvs0 fd00::1'])
  })

  it('keeps the device for the addresses of others', async () => {
    const rig = await start()
    await kernel.route.changeAddresses('kube-ipvs0', { add: [ip('198.51.100.5')], remove: [] }, never)
    rig.close()
    for (const backend of rig.backends) await backend.cleanup(never)
    expect((await dumpServers(kernel)).addresses).toEqual(['kube-ipvs0 198.51.100.5'])
  })

  it('neither finds nor loads anything on a clean node', async () => {
    const rig = new IpvsRig({ kernel })
    for (const backend of rig.backends) await backend.cleanup(never)
    expect(rig.journal.lines).toEqual([])
    expect(await kernel.ipvs.loaded(never)).toBe(false)
    rig.close()
  })
})

describe('a set whose name is taken', () => {
  const header = (over: Partial<SetHeader>): SetHeader => ({
    ...{ name: 'KUBE-CLUSTER-IP', type: 'hash:ip,port', family: 'IPv4', maxElements: 8, options: [] },
    ...{ entries: 0, references: 0 },
    ...over,
  })
  const typeOf = async (): Promise<unknown> => {
    const found = (await kernel.ipset.list(never)).find(({ name }) => name === 'KUBE-CLUSTER-IP')
    return { type: found?.type, options: found?.options, entries: found?.entries }
  }
  const right = { type: 'hash:ip,port', options: [], entries: 5 }
  const rule = (set: string) => ruleText('-m', 'set', '--match-set', set, 'dst', '-j', 'ACCEPT')

  it.each([
    ['type', header({ type: 'hash:net' })],
    ['family', header({ family: 'IPv6' })],
    ['options', header({ options: ['timeout'] })],
  ])('by one of another %s is made anew', async (_, set) => {
    await kernel.ipset.destroy(set.name, never)
    kernel = fakeServerKernel({}, [set])
    const rig = await start()
    expect(await typeOf()).toEqual(right)
    rig.close()
  })

  it('is exchanged under the rules that hold it, where only its options differ', async () => {
    kernel = fakeServerKernel({}, [header({ options: ['timeout'] })])
    await kernel.iptables.IPv4.restore(
      [{ table: 'filter', statements: [{ kind: 'append', chain: 'INPUT', rule: rule('KUBE-CLUSTER-IP') }] }],
      never,
    )
    const rig = await start()
    expect(await typeOf()).toEqual(right)
    expect(rig.journal.lines).toContain('swap KUBE-CLUSTER-IP WEIR-IPVS-GROWN')
    rig.close()
  })

  it('is taken from our rules, which are written again, where its type differs', async () => {
    kernel = fakeServerKernel({}, [header({ type: 'hash:net' })])
    await kernel.iptables.IPv4.restore(
      [
        {
          table: 'nat',
          statements: [
            { kind: 'chain', chain: 'KUBE-SERVICES' },
            { kind: 'append', chain: 'KUBE-SERVICES', rule: rule('KUBE-CLUSTER-IP') },
          ],
        },
      ],
      never,
    )
    const rig = await start()
    expect(await typeOf()).toEqual(right)
    expect(rig.problems).toEqual([])
    rig.close()
    const clean = fakeServerKernel()
    kernel = clean
    const fresh = await start()
    fresh.close()
    expect(await dumpServers(rig.kernel)).toEqual(await dumpServers(clean))
  })

  it('and held by foreign rules is reported, and left alone; all else works', async () => {
    kernel = fakeServerKernel({}, [header({ type: 'hash:net' })])
    await kernel.iptables.IPv4.restore(
      [{ table: 'filter', statements: [{ kind: 'append', chain: 'INPUT', rule: rule('KUBE-CLUSTER-IP') }] }],
      never,
    )
    const rig = await start()
    expect(rig.problems).toEqual([
      {
        object: { kind: 'ipset', namespace: undefined, name: 'KUBE-CLUSTER-IP' },
        field: 'type',
        reason: expect.stringContaining('foreign rules hold it'),
      },
    ])
    const { servers } = await dumpServers(kernel)
    expect(servers['-A -t 10.96.0.1:80 -s rr']).toHaveLength(3)
    rig.apply(...plain(9), drop('ns/plain-1'))
    await rig.mustSync()
    expect(Object.keys((await dumpServers(kernel)).servers).join()).toContain('10.96.0.9:80')
    rig.close()
  }, 20_000)
})

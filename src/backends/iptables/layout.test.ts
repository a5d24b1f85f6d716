import { describe, expect, it } from 'vitest'
import { port } from '../../../test/property/track-objects.ts'
import {
  addresses,
  hostOf,
  layoutsOf,
  ruleCount,
  settingsOf,
  stateOf,
  targetOf,
} from '../../../test/support/iptables-layouts.ts'
import { defaultConnections } from '../../model/connections.ts'
import type { ServiceState } from '../../model/desired.ts'
import type { HostState, LocalDetector } from '../../model/host.ts'
import { defaultScheduling } from '../../model/scheduling.ts'
import { type LayoutContext, layoutService } from './layout.ts'
import type { ServiceLayout } from './layout-types.ts'
import type { IptablesSettings } from './settings.ts'

/** Whole texts are in test/golden/iptables; here is what single fields of the input change. */

const { cluster, pod, external, balancer, range } = addresses('IPv4')
const hash = 'XPGD46QRK7WJZT7O'
const [first, second] = [targetOf(pod(1)), targetOf(pod(2), { local: true })]

interface Given {
  readonly host?: Partial<HostState>
  readonly settings?: Partial<IptablesSettings>
  readonly large?: boolean
}

const context = ({ host, settings, large = false }: Given): LayoutContext => ({
  host: hostOf('IPv4', host),
  settings: settingsOf('IPv4', { nfacct: false, ...settings }),
  large,
})

const laidOut = (over: Partial<ServiceState>, given: Given = {}): ServiceLayout =>
  layoutService(stateOf('IPv4', 'ns1/svc1:p80', over), context(given))

const withSets = (over: Partial<ServiceState>, given: Given = {}): ServiceLayout =>
  laidOut(over, { ...given, settings: { ...given.settings, ipset: true } })

const rulesOf = ({ chains }: ServiceLayout, kind: string): readonly string[] | undefined =>
  chains.find(({ name }) => name === `KUBE-${kind}-${hash}`)?.rules

const names = ({ chains }: ServiceLayout): readonly string[] =>
  chains.map(({ name }) => name.slice(5, 8).replace('-', ''))

const membersOf = ({ elements }: ServiceLayout): Readonly<Record<string, readonly string[]>> => {
  const members: Record<string, string[]> = {}
  for (const { set, member } of elements) members[set] = [...(members[set] ?? []), member]
  return members
}

describe('entries', () => {
  const everywhere = { externalIPs: [external(1)], loadBalancerIPs: [balancer(1)], nodePort: port(30_001) }

  it('have keys of address, protocol and port', () => {
    const keys = (over: Partial<ServiceState>) => {
      const { services, nodePorts } = laidOut({ ...everywhere, ...over, cluster: [first] })
      return [...services, ...nodePorts].map(({ key }) => key)
    }
    expect(keys({})).toEqual(['ac1e002900050', 'c0a8630100050', 'cb00710100050', '07531'])
    expect(keys({ protocol: 'UDP', port: port(65_535) })[0]).toBe('ac1e00291ffff')
    expect(keys({ protocol: 'SCTP' }).at(-1)).toBe('27531')
    const six = stateOf('IPv6', 'ns1/svc1:p80', { cluster: [targetOf(addresses('IPv6').pod(1))] })
    const settings = settingsOf('IPv6')
    expect(layoutService(six, { host: hostOf('IPv6'), settings, large: false }).services[0]?.key).toBe(
      'fd00003000000000000000000000004100050',
    )
  })

  it.each([{ ipset: false }, { ipset: true }])(
    'count NodePorts on loopback first, with $ipset sets for SCTP alone',
    ({ ipset }) => {
      const rules = (protocol: 'TCP' | 'SCTP') =>
        laidOut({ protocol, nodePort: port(30_001), cluster: [first] }, { settings: { ipset, nfacct: true } })
          .nodePorts[0]?.rules
      expect(rules('TCP')).toHaveLength(ipset ? 1 : 2)
      expect(rules('SCTP')).toHaveLength(2)
      expect(rules('SCTP')?.[0]).toContain('-m nfacct --nfacct-name localhost_nps_accepted_pkts')
      expect(rules('SCTP')?.[1]).not.toContain('nfacct')
    },
  )

  it('do not count them where there are none', () => {
    for (const settings of [{ nfacct: false }, { localhostNodePorts: false }]) {
      const { nodePorts } = laidOut(
        { nodePort: port(30_001), cluster: [first] },
        { settings: { nfacct: true, ...settings } },
      )
      expect(nodePorts[0]?.rules).toHaveLength(1)
    }
  })
})

describe('chains', () => {
  const node = { nodePort: port(30_001) }

  it.each<{ readonly of: string; readonly over: Partial<ServiceState>; readonly plain: string; readonly sets: string }>(
    [
      { of: 'a cluster IP', over: { cluster: [first] }, plain: 'SVC SEP', sets: 'SVC' },
      {
        of: 'a cluster IP under policy Local',
        over: { internalPolicy: 'Local', local: [second] },
        plain: 'SVL SEP',
        sets: 'SVL',
      },
      { of: 'a NodePort', over: { ...node, cluster: [first, second] }, plain: 'EXT SVC SEP SEP', sets: 'SVC' },
      {
        of: 'a NodePort under policy Local',
        over: { ...node, externalPolicy: 'Local', cluster: [first, second], local: [second] },
        plain: 'EXT SVC SVL SEP SEP',
        sets: 'EXT SVC SVL',
      },
      {
        of: 'a NodePort under policy Local without local endpoints',
        over: { ...node, externalPolicy: 'Local', cluster: [first] },
        plain: 'EXT SVC SEP',
        sets: 'EXT SVC',
      },
      {
        of: 'source ranges',
        over: { loadBalancerIPs: [balancer(1)], sourceRanges: [range(1)], cluster: [first] },
        plain: 'EXT FW SVC SEP',
        sets: 'SVC',
      },
      {
        of: 'an SCTP NodePort',
        over: { ...node, protocol: 'SCTP', cluster: [first] },
        plain: 'EXT SVC SEP',
        sets: 'EXT SVC',
      },
      {
        of: 'an SCTP external IP',
        over: { externalIPs: [external(1)], protocol: 'SCTP', cluster: [first] },
        plain: 'EXT SVC SEP',
        sets: 'SVC',
      },
      {
        of: 'no endpoints',
        over: { ...node, loadBalancerIPs: [balancer(1)], sourceRanges: [range(1)] },
        plain: '',
        sets: '',
      },
      {
        of: 'an address that another Service owns',
        over: { clusterIP: undefined, cluster: [first] },
        plain: '',
        sets: '',
      },
      {
        of: 'a NodePort alone',
        over: { ...node, clusterIP: undefined, internalPolicy: 'Local', cluster: [first], local: [second] },
        plain: 'EXT SVC SEP',
        sets: 'SVC',
      },
    ],
  )('for $of are $plain', ({ over, plain, sets }) => {
    expect(names(laidOut(over)).join(' ')).toBe(plain)
    expect(names(withSets(over)).join(' ')).toBe(sets)
  })

  it('of an endpoint in both lists exist once, also when the lists hold two objects', () => {
    const state = { ...node, externalPolicy: 'Local', cluster: [first, second], local: [{ ...second }] } as const
    const chains = laidOut(state).chains.map(({ name }) => name)
    expect(new Set(chains).size).toBe(chains.length)
    expect(membersOf(withSets(state))['LOOP-BACK']).toEqual([
      '10.180.0.1,tcp:80,10.180.0.1',
      '10.180.0.2,tcp:80,10.180.0.2',
    ])
  })

  it('go without comments per endpoint in a large cluster', () => {
    const over = { cluster: [first, second], affinitySeconds: 60 }
    for (const ipset of [false, true]) {
      const { chains, services } = laidOut(over, {
        large: true,
        host: { detector: { kind: 'none' } },
        settings: { ipset },
      })
      expect(chains.flatMap(({ rules }) => rules).filter((rule) => rule.includes('--comment'))).toEqual([])
      expect(services[0]?.rules[0]).toContain('--comment "ns1/svc1:p80 cluster IP"')
    }
    expect(rulesOf(laidOut(over, { large: true }), 'SVC')?.[0]).toContain('--comment "ns1/svc1:p80 cluster IP"')
  })
})

describe('traffic to a cluster IP', () => {
  const address = '-m comment --comment "ns1/svc1:p80 cluster IP" -m tcp -p tcp -d 172.30.0.41 --dport 80'
  it.each<{ readonly detector: LocalDetector; readonly words: string | undefined }>([
    { detector: { kind: 'cidr', cidr: range(1) }, words: ' ! -s 198.51.1.0/24' },
    { detector: { kind: 'interface', name: 'cni0' }, words: ' ! -i cni0' },
    { detector: { kind: 'interfacePrefix', prefix: 'veth' }, words: ' ! -i veth+' },
    { detector: { kind: 'none' }, words: undefined },
  ])('is masqueraded when it comes from outside: $detector', ({ detector, words }) => {
    const rules = (masqueradeAll: boolean) =>
      rulesOf(laidOut({ cluster: [first] }, { host: { detector, masqueradeAll } }), 'SVC')
    expect(rules(true)?.[0]).toBe(`${address} -j KUBE-MARK-MASQ`)
    expect(rules(true)).toHaveLength(2)
    if (words === undefined) expect(rules(false)).toHaveLength(1)
    else expect(rules(false)?.[0]).toBe(`${address}${words} -j KUBE-MARK-MASQ`)
  })

  it('is masqueraded where it is led, and nowhere else', () => {
    const over = { nodePort: port(30_001), internalPolicy: 'Local', cluster: [first], local: [second] } as const
    expect(rulesOf(laidOut(over), 'SVL')).toHaveLength(2)
    expect(rulesOf(laidOut(over), 'SVC')).toHaveLength(1)
    expect(rulesOf(laidOut({ ...over, local: [] }), 'SVC')).toHaveLength(1)
  })
})

describe('policy Local', () => {
  const over = { nodePort: port(30_001), externalPolicy: 'Local', cluster: [first], local: [] } as const
  const masquerade = 'masquerade LOCAL traffic for ns1/svc1:p80 external destinations'
  const route = 'route LOCAL traffic for ns1/svc1:p80 external destinations'
  const node = [
    `-m comment --comment "${masquerade}" -m addrtype --src-type LOCAL -j KUBE-MARK-MASQ`,
    `-m comment --comment "${route}" -m addrtype --src-type LOCAL -j KUBE-SVC-${hash}`,
  ]
  it.each<{ readonly detector: LocalDetector; readonly words: string }>([
    { detector: { kind: 'cidr', cidr: range(1) }, words: '-s 198.51.1.0/24' },
    { detector: { kind: 'interface', name: 'cni0' }, words: '-i cni0' },
    { detector: { kind: 'interfacePrefix', prefix: 'veth' }, words: '-i veth+' },
  ])('sends local pods anywhere: $detector', ({ detector, words }) => {
    const pods = `-m comment --comment "pod traffic for ns1/svc1:p80 external destinations" ${words} -j KUBE-SVC-${hash}`
    for (const ipset of [false, true]) {
      expect(rulesOf(laidOut(over, { host: { detector }, settings: { ipset } }), 'EXT')).toEqual([pods, ...node])
    }
  })

  it('knows no pods without a detector, and sends the rest to local endpoints', () => {
    const host = { detector: { kind: 'none' }, masqueradeAll: true } as const
    expect(rulesOf(laidOut(over, { host }), 'EXT')).toEqual(node)
    expect(rulesOf(laidOut({ ...over, local: [second] }, { host }), 'EXT')).toEqual([...node, `-j KUBE-SVL-${hash}`])
  })
})

describe('schedulers', () => {
  const sep = 'KUBE-SEP-SXIVWICOYRO3J4NJ'
  const host = { detector: { kind: 'none' } } as const

  it('are in the rules of both layouts', () => {
    const scheduling = { ...defaultScheduling, scheduler: 'rr' } as const
    const over = { scheduling, cluster: [first, { ...second, weight: 9 }] }
    expect(rulesOf(laidOut(over, { host, large: true }), 'SVC')).toEqual([
      `-m statistic --mode nth --every 2 --packet 0 -j ${sep}`,
      `-j ${laidOut(over).chains.at(-1)?.name}`,
    ])
    expect(rulesOf(withSets(over, { large: true }), 'SVC')).toEqual([
      '-p tcp -m statistic --mode nth --every 2 --packet 0 -j DNAT --to-destination 10.180.0.1:80',
      '-p tcp -j DNAT --to-destination 10.180.0.2:80',
    ])
  })

  it('heed weights in each list by itself', () => {
    const heavy = { ...first, weight: 3, local: true }
    const over = { nodePort: port(1), externalPolicy: 'Local', cluster: [heavy, second], local: [heavy] } as const
    expect(rulesOf(laidOut(over, { host, large: true }), 'SVC')?.[0]).toBe(
      `-m statistic --mode random --probability 0.7500000000 -j ${sep}`,
    )
    expect(rulesOf(laidOut(over, { host, large: true }), 'SVL')).toEqual([`-j ${sep}`])
  })
})

describe('sets', () => {
  const everywhere = { externalIPs: [external(1)], loadBalancerIPs: [balancer(1)], nodePort: port(30_001) }
  const loopBack = { 'LOOP-BACK': ['10.180.0.1,tcp:80,10.180.0.1'] }

  it('masquerade external traffic under policy Cluster', () => {
    expect(membersOf(withSets({ ...everywhere, cluster: [first] }))).toEqual({
      'CLUSTER-IP': ['172.30.0.41,tcp:80'],
      EXTERNAL: ['192.168.99.1,tcp:80', '203.0.113.1,tcp:80'],
      'NP-TCP': ['30001'],
      'NP-MASQ-TCP': ['30001'],
      ...loopBack,
    })
  })

  it('never do so under policy Local', () => {
    const over = { ...everywhere, externalPolicy: 'Local', cluster: [first] } as const
    expect(membersOf(withSets({ ...over, local: [first] }))).toEqual({
      'CLUSTER-IP': ['172.30.0.41,tcp:80'],
      'NP-TCP': ['30001'],
      ...loopBack,
    })
    expect(membersOf(withSets(over))).toEqual({
      'CLUSTER-IP': ['172.30.0.41,tcp:80'],
      'EXT-DROP': ['192.168.99.1,tcp:80', '203.0.113.1,tcp:80'],
      'NP-TCP': ['30001'],
      'NP-DROP-TCP': ['30001'],
      ...loopBack,
    })
  })

  it('refuse a cluster IP by themselves', () => {
    const over = { ...everywhere, internalPolicy: 'Local', cluster: [first] } as const
    expect(membersOf(withSets(over))).toMatchObject({ DROP: ['172.30.0.41,tcp:80'], EXTERNAL: expect.anything() })
    expect(membersOf(withSets(over))).not.toHaveProperty('CLUSTER-IP')
  })

  it('reject everything without endpoints, source ranges or not', () => {
    const over = { ...everywhere, sourceRanges: [range(1)], healthCheckNodePort: port(32_000) }
    expect(membersOf(withSets(over))).toEqual({
      REJECT: ['172.30.0.41,tcp:80'],
      'EXT-REJECT': ['192.168.99.1,tcp:80', '203.0.113.1,tcp:80'],
      'NP-REJECT-TCP': ['30001'],
      'HEALTH-CHECK': ['32000'],
    })
    expect(withSets(over).filter).toEqual([])
  })

  it('leave what is to be reset to rules, which are the same as without sets', () => {
    const connections = { ...defaultConnections, resetStaleTcp: true }
    const over = { ...everywhere, connections }
    expect(membersOf(withSets(over))).toEqual({})
    expect(withSets(over).filter).toEqual(laidOut(over).filter)
    expect(laidOut(over).filter.map(({ chain, rule }) => [chain, rule.slice(rule.indexOf('-j '))])).toEqual(
      ['KUBE-SERVICES', 'KUBE-EXTERNAL-SERVICES', 'KUBE-EXTERNAL-SERVICES', 'KUBE-EXTERNAL-SERVICES'].map((chain) => [
        chain,
        '-j REJECT --reject-with tcp-reset',
      ]),
    )
    const plain = (protocol: 'UDP' | 'TCP', resetStaleTcp: boolean) =>
      laidOut({ ...over, protocol, connections: { ...connections, resetStaleTcp } }).filter.map(({ rule }) =>
        rule.slice(-9),
      )
    for (const rules of [plain('UDP', true), plain('TCP', false)])
      expect(new Set(rules)).toEqual(new Set(['-j REJECT']))
    const local = { ...over, externalPolicy: 'Local', cluster: [first] } as const
    expect(membersOf(withSets(local))).toMatchObject({ 'EXT-DROP': expect.anything(), 'NP-DROP-TCP': ['30001'] })
    expect(withSets(local).filter).toEqual([])
  })

  it('know who may use a load balancer IP; who may not is not marked either', () => {
    const over = { ...everywhere, sourceRanges: [range(1), range(2)], cluster: [first] }
    expect(membersOf(withSets(over))).toMatchObject({
      EXTERNAL: ['192.168.99.1,tcp:80'],
      'LB-FW': ['203.0.113.1,tcp:80'],
      'LB-SOURCE': ['203.0.113.1,tcp:80,198.51.1.0/24', '203.0.113.1,tcp:80,198.51.2.0/24'],
    })
    const allowed = '-d 203.0.113.1 --dport 80 -m set --match-set WEIR-4-LB-SOURCE dst,dst,src'
    const rules = (externalPolicy: 'Cluster' | 'Local') =>
      withSets({ ...over, externalPolicy })
        .services.at(-1)
        ?.rules.map((rule) => rule.split(' -p tcp ')[1])
    expect(rules('Cluster')).toEqual([`${allowed} -j KUBE-MARK-MASQ`, `${allowed} -j KUBE-SVC-${hash}`])
    expect(rules('Local')).toEqual([`${allowed} -j KUBE-EXT-${hash}`])
  })

  it('let load balancer IPs in as sources when a range holds the node, each once', () => {
    const over = {
      loadBalancerIPs: [balancer(1), balancer(2)],
      sourceRanges: [range(1)],
      nodeInSourceRanges: true,
      cluster: [first],
    }
    expect(membersOf(withSets(over))['LB-SOURCE']).toEqual(
      [1, 2].flatMap((n) => ['198.51.1.0/24', balancer(1), balancer(2)].map((from) => `203.0.113.${n},tcp:80,${from}`)),
    )
  })

  it('hold no SCTP NodePort, which has rules instead', () => {
    const over = { ...everywhere, protocol: 'SCTP' } as const
    expect(Object.keys(membersOf(withSets({ ...over, cluster: [first] })))).not.toContainEqual(
      expect.stringContaining('NP'),
    )
    expect(withSets(over).filter).toEqual(laidOut(over).filter.filter(({ rule }) => rule.includes('30001')))
    expect(withSets({ ...over, cluster: [first] }).filter).toEqual([])
  })

  it('make far fewer rules', () => {
    const states = Array.from({ length: 100 }, (_, i) =>
      stateOf('IPv4', `ns/svc-${i}:http`, {
        clusterIP: cluster(i),
        cluster: Array.from({ length: 8 }, (_, j) => targetOf(pod(j + 1))),
      }),
    )
    const count = (ipset: boolean): number =>
      ruleCount(layoutsOf(hostOf('IPv4'), settingsOf('IPv4', { ipset }), states))
    const [plain, sets] = [count(false), count(true)]
    expect(plain).toBeGreaterThan(2600)
    expect(sets / plain).toBeLessThan(0.37)
  })
})

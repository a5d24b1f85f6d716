import { describe, expect, it } from 'vitest'
import { cidr, ip, port } from '../../../test/property/track-objects.ts'
import { addresses, hostOf, stateOf, targetOf } from '../../../test/support/iptables-layouts.ts'
import { defaultConnections, type ForwardingMethod } from '../../model/connections.ts'
import type { ServiceState } from '../../model/desired.ts'
import type { HostState } from '../../model/host.ts'
import { type Family, families } from '../../model/ip.ts'
import { defaultScheduling, type Scheduling } from '../../model/scheduling.ts'
import { layoutService } from './layout.ts'
import type { ServiceLayout } from './layout-types.ts'
import type { SetRole } from './sets.ts'
import type { IpvsSettings } from './settings.ts'

const node = (family: Family) => ip(family === 'IPv4' ? '192.0.2.10' : '2001:db8::10')
const second = (family: Family) => ip(family === 'IPv4' ? '192.0.2.11' : '2001:db8::11')

const settingsOf = (family: Family, scheduler = 'rr'): IpvsSettings => ({
  ...{ family, scheduler, excludeCidrs: [], drainMs: 0, randomFully: true },
})

interface Given {
  readonly family?: Family
  readonly host?: Partial<HostState>
  readonly scheduler?: string
}

const laidOut = (
  over: Partial<ServiceState>,
  { family = 'IPv4', host, scheduler }: Given = {},
): ServiceLayout & { readonly shown: readonly string[] } => {
  const state = stateOf(family, 'ns1/svc1:p80', over)
  const layout = layoutService(
    state,
    hostOf(family, { addresses: [node(family)], ...host }),
    settingsOf(family, scheduler),
  )
  return { ...layout, shown: layout.servers.map(shown) }
}

/** `192.0.2.10:80 = 10.0.0.1:8080 10.0.0.2:8080*0`: with weights other than 1. */
const shown = ({ ip, port, realServers }: ServiceLayout['servers'][number]): string =>
  `${ip}:${port} = ${targets(realServers)}`

const targets = (list: ServiceLayout['servers'][number]['realServers']): string =>
  list.map(({ ip, port, weight }) => `${ip}:${port}${weight === 1 ? '' : `*${weight}`}`).join(' ')

const membersOf = ({ elements }: ServiceLayout): Partial<Record<SetRole, readonly string[]>> => {
  const members: Partial<Record<SetRole, string[]>> = {}
  for (const { set, member } of elements) members[set] = [...(members[set] ?? []), member]
  return members
}

const { external, balancer, pod, range } = addresses('IPv4')
const far = targetOf(pod(1), { port: port(8080) })
const near = targetOf(pod(2), { port: port(8080), local: true })
const everywhere = { externalIPs: [external(1)], loadBalancerIPs: [balancer(1)], nodePort: port(30_001) }

describe.each(families)('in %s', (family) => {
  const at = addresses(family)
  it('each address has a virtual server, of the endpoints that its policy gives', () => {
    const [remote, local] = [targetOf(at.pod(1)), targetOf(at.pod(2), { local: true })]
    const over = {
      externalIPs: [at.external(1)],
      loadBalancerIPs: [at.balancer(1)],
      nodePort: port(30_001),
      cluster: [remote, local],
      local: [local],
    }
    const both = `${at.pod(1)}:80 ${at.pod(2)}:80`
    const one = `${at.pod(2)}:80`
    const expected = (internal: string, outside: string) => [
      `${at.cluster(41)}:80 = ${internal}`,
      `${at.external(1)}:80 = ${outside}`,
      `${at.balancer(1)}:80 = ${outside}`,
      `${node(family)}:30001 = ${outside}`,
    ]
    expect(laidOut(over, { family }).shown).toEqual(expected(both, both))
    expect(laidOut({ ...over, internalPolicy: 'Local' }, { family }).shown).toEqual(expected(one, both))
    const outside = laidOut({ ...over, externalPolicy: 'Local' }, { family })
    expect(outside.shown).toEqual(expected(both, one))
    expect(outside.inside && targets(outside.inside.realServers)).toBe(both)
    expect(outside.inside?.fronts).toEqual([
      { protocol: 'TCP', ip: at.external(1), port: 80 },
      { protocol: 'TCP', ip: at.balancer(1), port: 80 },
      { protocol: 'TCP', ip: node(family), port: 30_001 },
    ])
    expect(outside.addresses).toEqual([at.cluster(41), at.external(1), at.balancer(1)])
    expect(membersOf(outside)['IPVS-IPS']).toEqual(outside.addresses)
    expect(outside.problems).toEqual([])
  })

  it('without endpoints the virtual servers are empty, and nothing is dropped', () => {
    const layout = laidOut({ nodePort: port(30_001), externalPolicy: 'Local' }, { family })
    expect(layout.shown).toEqual([`${at.cluster(41)}:80 = `, `${node(family)}:30001 = `])
    expect(layout.inside?.realServers).toEqual([])
    expect(membersOf(layout)).not.toHaveProperty('EXT-DROP')
  })
})

describe('NodePorts', () => {
  it.each<{ readonly what: string; readonly host: Partial<HostState>; readonly on: readonly string[] }>([
    {
      what: 'every address but loopback and link-local',
      host: { addresses: ['192.0.2.10', '10.1.0.1', '127.0.0.1', '127.1.2.3'].map(ip) },
      on: ['192.0.2.10', '10.1.0.1'],
    },
    {
      what: 'those that are selected, never loopback',
      host: {
        addresses: ['192.0.2.10', '10.1.0.1', '127.0.0.1'].map(ip),
        nodePortAddresses: { kind: 'some', addresses: ['10.1.0.1', '127.0.0.1'].map(ip) },
      },
      on: ['10.1.0.1'],
    },
    { what: 'none', host: { nodePortAddresses: { kind: 'some', addresses: [] } }, on: [] },
  ])('are served on $what', ({ host, on }) => {
    const { servers } = laidOut({ clusterIP: undefined, nodePort: port(30_001) }, { host })
    expect(servers.map(({ ip }) => ip)).toEqual(on)
    expect(servers.every(({ nodePort }) => nodePort)).toBe(true)
  })

  it('are not served on link-local addresses of IPv6', () => {
    const all = ['fe80::1', 'febf::1', 'fec0::1', 'fe8::1', '::1', '2001:db8::1'].map(ip)
    const { servers } = laidOut(
      { clusterIP: undefined, nodePort: port(1) },
      { family: 'IPv6', host: { addresses: all } },
    )
    expect(servers.map(({ ip }) => ip)).toEqual(['fec0::1', 'fe8::1', '2001:db8::1'])
  })

  it('are in bitmaps, those of SCTP by address, and all by address to tell whose they are', () => {
    const host = { addresses: [node('IPv4'), second('IPv4')] }
    const of = (over: Partial<ServiceState>) =>
      membersOf(
        laidOut({ clusterIP: undefined, nodePort: port(30_001), cluster: [far], local: [near], ...over }, { host }),
      )
    expect(of({ local: [] })).toEqual({
      'NODE-PORT-TCP': ['30001'],
      'NODE-PORT': ['192.0.2.10,tcp:30001', '192.0.2.11,tcp:30001'],
    })
    expect(of({ protocol: 'UDP', externalPolicy: 'Local' })).toMatchObject({
      'NODE-PORT-UDP': ['30001'],
      'NODE-PORT-LOCAL-UDP': ['30001'],
    })
    const byAddress = ['192.0.2.10,sctp:30001', '192.0.2.11,sctp:30001']
    expect(of({ protocol: 'SCTP', externalPolicy: 'Local' })).toMatchObject({
      'NODE-PORT-SCTP': byAddress,
      'NODE-PORT-LOCAL-SCTP': byAddress,
    })
  })

  it('yield to an external IP of the Service that is the same address and port', () => {
    const { servers } = laidOut({ clusterIP: undefined, externalIPs: [node('IPv4')], nodePort: port(80) })
    expect(servers.map(({ ip, port, nodePort }) => [ip, port, nodePort])).toEqual([['192.0.2.10', 80, false]])
  })
})

describe('sets', () => {
  it('tell addresses by kind and policy', () => {
    const over = { ...everywhere, cluster: [far, near], local: [near], healthCheckNodePort: port(32_000) }
    const common = {
      'CLUSTER-IP': ['172.30.0.41,tcp:80'],
      'LOAD-BALANCER': ['203.0.113.1,tcp:80'],
      'NODE-PORT-TCP': ['30001'],
      'NODE-PORT': ['192.0.2.10,tcp:30001'],
      'IPVS-IPS': ['172.30.0.41', '192.168.99.1', '203.0.113.1'],
      'HEALTH-CHECK-NODE-PORT': ['32000'],
      'LOOP-BACK': ['10.180.0.2,tcp:8080,10.180.0.2'],
    }
    expect(membersOf(laidOut(over))).toEqual({ ...common, 'EXTERNAL-IP': ['192.168.99.1,tcp:80'] })
    expect(membersOf(laidOut({ ...over, externalPolicy: 'Local' }))).toEqual({
      ...common,
      'EXTERNAL-IP-LOCAL': ['192.168.99.1,tcp:80'],
      'LOAD-BALANCER-LOCAL': ['203.0.113.1,tcp:80'],
      'NODE-PORT-LOCAL-TCP': ['30001'],
    })
  })

  it('S6.6 drop under policy Local without endpoints here, where the policy holds', () => {
    const over = { ...everywhere, cluster: [far] }
    const dropped = (policies: Partial<ServiceState>) => {
      const { DROP = [], 'EXT-DROP': outside = [] } = membersOf(laidOut({ ...over, ...policies }))
      return [DROP, outside]
    }
    const outside = ['192.168.99.1,tcp:80', '203.0.113.1,tcp:80', '192.0.2.10,tcp:30001']
    expect(dropped({})).toEqual([[], []])
    expect(dropped({ internalPolicy: 'Local' })).toEqual([['172.30.0.41,tcp:80'], []])
    expect(dropped({ externalPolicy: 'Local' })).toEqual([[], outside])
    expect(dropped({ externalPolicy: 'Local', local: [near] })).toEqual([[], []])
    expect(dropped({ internalPolicy: 'Local', externalPolicy: 'Local', hasEndpoints: false })).toEqual([[], []])
  })

  it('S7.1 guard load balancer addresses, without endpoints too', () => {
    const over = { ...everywhere, sourceRanges: [range(1), cidr('198.51.100.7/32')] }
    expect(membersOf(laidOut(over))).toMatchObject({
      'LOAD-BALANCER-FW': ['203.0.113.1,tcp:80'],
      'LOAD-BALANCER-SOURCE-CIDR': ['203.0.113.1,tcp:80,198.51.1.0/24', '203.0.113.1,tcp:80,198.51.100.7'],
    })
    for (const sourceRanges of [undefined, []])
      expect(membersOf(laidOut({ ...over, sourceRanges }))).not.toHaveProperty('LOAD-BALANCER-FW')
  })

  it('S7.3 let the addresses in as sources when a range holds the node', () => {
    const over = { loadBalancerIPs: [balancer(1), balancer(2)], sourceRanges: [range(1)] }
    expect(membersOf(laidOut(over))).not.toHaveProperty('LOAD-BALANCER-SOURCE-IP')
    expect(membersOf(laidOut({ ...over, nodeInSourceRanges: true }))['LOAD-BALANCER-SOURCE-IP']).toEqual(
      [1, 2].flatMap((to) => [1, 2].map((from) => `203.0.113.${to},tcp:80,203.0.113.${from}`)),
    )
  })

  it('S11.5 know every local endpoint once, drained ones too', () => {
    const leaving = targetOf(pod(3), { weight: 0, local: true })
    const over = {
      ...everywhere,
      cluster: [far, near],
      local: [near],
      drained: [leaving, targetOf(pod(4), { weight: 0 })],
    }
    expect(membersOf(laidOut(over))['LOOP-BACK']).toEqual([
      '10.180.0.2,tcp:8080,10.180.0.2',
      '10.180.0.3,tcp:80,10.180.0.3',
    ])
  })
})

describe('real servers', () => {
  it('have the weights of their endpoints; drained ones come last, under policy Local those of this node', () => {
    const drained = [targetOf(pod(3), { weight: 0 }), targetOf(pod(4), { weight: 0, local: true })]
    const heavy = { ...far, weight: 3 }
    const over = {
      nodePort: port(30_001),
      externalPolicy: 'Local',
      cluster: [heavy, near],
      local: [near],
      drained,
    } as const
    const { shown, inside } = laidOut(over)
    const all = '10.180.0.1:8080*3 10.180.0.2:8080 10.180.0.3:80*0 10.180.0.4:80*0'
    expect(shown).toEqual([`172.30.0.41:80 = ${all}`, '192.0.2.10:30001 = 10.180.0.2:8080 10.180.0.4:80*0'])
    expect(inside && targets(inside.realServers)).toBe(all)
  })

  it('are one list where they are equal', () => {
    const { servers } = laidOut({ ...everywhere, cluster: [far, near] })
    expect(new Set(servers.map(({ realServers }) => realServers)).size).toBe(1)
    expect(new Set(servers.map(({ shape }) => shape)).size).toBe(1)
  })
})

describe('inside servers', () => {
  it('depend on the Service and not on its endpoints', () => {
    const inside = (over: Partial<ServiceState>) => laidOut(over).inside !== undefined
    const local = { ...everywhere, externalPolicy: 'Local' } as const
    for (const lists of [{}, { cluster: [near], local: [near] }, { cluster: [far] }])
      expect(inside({ ...local, ...lists })).toBe(true)
    expect(inside({ ...everywhere, cluster: [near], local: [near] })).toBe(false)
    expect(inside({ externalPolicy: 'Local', cluster: [near], local: [near] })).toBe(false)
  })
})

describe('schedulers', () => {
  const shapeOf = (scheduling: Partial<Scheduling>, given: Given = {}, over: Partial<ServiceState> = {}) => {
    const { servers } = laidOut({ ...over, scheduling: { ...defaultScheduling, ...scheduling } }, given)
    return servers[0]?.shape
  }
  const plain = { flags: [], persistenceSeconds: 0, persistencePrefix: 32 }

  it('are the Service’s, else the configured one', () => {
    expect(shapeOf({})).toEqual({ ...plain, scheduler: 'rr' })
    expect(shapeOf({}, { scheduler: 'wlc' })).toEqual({ ...plain, scheduler: 'wlc' })
    expect(shapeOf({ scheduler: 'sed' }, { scheduler: 'wlc' })).toEqual({ ...plain, scheduler: 'sed' })
  })

  it('leave nothing to drain to dh, which would refuse its clients', () => {
    const drained = [targetOf(pod(3), { weight: 0 })]
    const ips = (scheduler: Scheduling['scheduler']) =>
      laidOut({ drained, scheduling: { ...defaultScheduling, scheduler } }).servers[0]?.realServers.map(({ ip }) => ip)
    expect(ips('sh')).toContain(pod(3))
    expect(ips('dh')).not.toContain(pod(3))
  })

  // sched1 is the fallback: what drains must not refuse anybody.
  it.each<[Scheduling['scheduler'], Scheduling['flags'], readonly string[]]>([
    ['sh', ['sh-fallback', 'sh-port'], ['sched1', 'sched2']],
    ['sh', ['sh-port'], ['sched1', 'sched2']],
    ['mh', ['mh-port', 'mh-fallback'], ['sched1', 'sched2']],
    ['mh', [], ['sched1']],
    ['rr', ['sh-port'], []],
  ])('%s with %j has %j', (scheduler, flags, expected) => {
    expect(shapeOf({ scheduler, flags })?.flags).toEqual(expected)
  })

  it('heed the port when mh is configured for all, as in kube-proxy', () => {
    expect(shapeOf({}, { scheduler: 'mh' })?.flags).toEqual(['sched1', 'sched2'])
    expect(shapeOf({ scheduler: 'mh' }, { scheduler: 'mh' })?.flags).toEqual(['sched1'])
    expect(shapeOf({}, { scheduler: 'sh' })?.flags).toEqual(['sched1'])
  })

  it('S8.1 remember each client address', () => {
    const affinity = { affinitySeconds: 60 }
    const remembers = { flags: ['persistent', 'sched1'], persistenceSeconds: 60 }
    const scheduling = { scheduler: 'mh', flags: ['mh-fallback'] } as const
    expect(shapeOf(scheduling, {}, affinity)).toEqual({ scheduler: 'mh', ...remembers, persistencePrefix: 32 })
    expect(shapeOf(scheduling, { family: 'IPv6' }, affinity)?.persistencePrefix).toBe(128)
  })
})

describe('forwarding', () => {
  const as = (forwarding: ForwardingMethod): Partial<ServiceState> => ({
    connections: { ...defaultConnections, forwarding },
  })
  const methods = ({ servers }: ServiceLayout) =>
    servers.map(({ realServers }) => [...new Set(realServers.map(({ forwarding }) => forwarding))].join())
  const samePort = [targetOf(pod(1)), targetOf(pod(2), { local: true })]
  const field = 'metadata.annotations[weir.dev/forwarding]'

  it.each(['direct', 'tunnel'] as const)('%s is for addresses, and those are not masqueraded', (forwarding) => {
    const layout = laidOut({ ...as(forwarding), ...everywhere, nodePort: undefined, cluster: samePort })
    expect(methods(layout)).toEqual([forwarding, forwarding, forwarding])
    expect(membersOf(layout).DIRECT).toEqual(['172.30.0.41,tcp:80', '192.168.99.1,tcp:80', '203.0.113.1,tcp:80'])
    expect(layout.problems).toEqual([])
  })

  it('of NodePorts masquerades, and says so', () => {
    const layout = laidOut({ ...as('direct'), nodePort: port(30_001), cluster: samePort })
    expect(methods(layout)).toEqual(['direct', 'masquerade'])
    expect(membersOf(layout).DIRECT).toEqual(['172.30.0.41,tcp:80'])
    const reason =
      '"direct" leaves the port as it is, but port 80 of ns1/svc1:p80 is NodePort 30001, so that one is masqueraded'
    expect(layout.problems).toEqual([{ field, reason }])
  })

  it.each<[string, Partial<ServiceState>]>([
    ['one endpoint', { cluster: [targetOf(pod(1)), far] }],
    ['a local endpoint', { externalPolicy: 'Local', externalIPs: [external(1)], local: [near] }],
    ['a drained endpoint', { cluster: samePort, drained: [{ ...far, weight: 0 }] }],
  ])('masquerades everything when %s has another port, and says so once', (_, over) => {
    const layout = laidOut({ ...as('tunnel'), nodePort: port(30_001), ...over })
    expect(new Set(methods(layout).filter((method) => method !== ''))).toEqual(new Set(['masquerade']))
    expect(membersOf(layout)).not.toHaveProperty('DIRECT')
    const reason =
      '"tunnel" leaves the port as it is, but port 80 of ns1/svc1:p80 is 8080 of its endpoints, so it is masqueraded'
    expect(layout.problems).toEqual([{ field, reason }])
  })

  it('of inside servers masquerades: answers to pods and to the node would come from an address of the node', () => {
    const over = { externalIPs: [external(1)], externalPolicy: 'Local', cluster: samePort, local: [] } as const
    const { inside, problems } = laidOut({ ...as('direct'), ...over })
    expect(inside?.realServers.map(({ forwarding }) => forwarding)).toEqual(['masquerade', 'masquerade'])
    expect(problems).toEqual([])
  })
})

describe('an address that another interface has', () => {
  it.each([
    ['spec.clusterIPs', { clusterIP: node('IPv4') }],
    ['spec.externalIPs', { externalIPs: [node('IPv4')] }],
    ['status.loadBalancer.ingress', { loadBalancerIPs: [node('IPv4')] }],
  ] as const)('is served where it is: %s', (field, over) => {
    const layout = laidOut({ clusterIP: undefined, cluster: [far], ...over })
    expect(layout.shown).toEqual(['192.0.2.10:80 = 10.180.0.1:8080'])
    expect(layout.addresses).toEqual([])
    // What is there would be refused all that no Service has, ssh for one.
    expect(membersOf(layout)).not.toHaveProperty('IPVS-IPS')
    expect(layout.problems).toEqual([{ field, reason: expect.stringContaining('192.0.2.10 is on an interface') }])
  })
})

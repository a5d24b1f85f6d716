import { describe, expect, it } from 'vitest'
import {
  cidr,
  endpoint,
  endpointPort,
  ip,
  port,
  service,
  servicePort,
  slice,
} from '../../test/property/track-objects.ts'
import type { ServiceState } from '../model/desired.ts'
import type { Endpoint, EndpointSlice } from '../model/endpoint-slice.ts'
import type { Family } from '../model/ip.ts'
import { type Scheduling, schedulers } from '../model/scheduling.ts'
import type { Service } from '../model/service.ts'
import type { DesiredContext } from './context.ts'
import { desiredStates } from './service-states.ts'

/** The same world in both families. */
const worlds = [
  {
    family: 'IPv4',
    other: 'IPv6',
    cluster: '10.96.0.1',
    vip: '203.0.113.1',
    external: '198.51.100.1',
    elsewhere: '2001:db8:9::9',
    node: '192.0.2.10',
    pod: (n: number): string => `10.0.0.${n}`,
    shown: (n: number): string => `10.0.0.${n}:8080`,
    zero: '0.0.0.0/0',
    foreignZero: '::/0',
    range: '203.0.113.128/25',
    nodeRange: '192.0.2.0/24',
    foreignRange: '2001:db8::/32',
  },
  {
    family: 'IPv6',
    other: 'IPv4',
    cluster: 'fd00:96::1',
    vip: '2001:db8:1::1',
    external: '2001:db8:2::1',
    elsewhere: '198.51.100.9',
    node: '2001:db8:3::10',
    pod: (n: number): string => `fd00::${n}`,
    shown: (n: number): string => `[fd00::${n}]:8080`,
    zero: '::/0',
    foreignZero: '0.0.0.0/0',
    range: '2001:db8:1:8000::/49',
    nodeRange: '2001:db8:3::/64',
    foreignRange: '10.0.0.0/8',
  },
] as const satisfies readonly { readonly family: Family; readonly [more: string]: unknown }[]
type World = (typeof worlds)[number]

const context = (world: World, over: Partial<DesiredContext> = {}): DesiredContext => ({
  family: world.family,
  nodeName: 'here',
  zone: 'near',
  nodeIP: ip(world.node),
  owns: () => true,
  supportedSchedulers: new Set(schedulers),
  ...over,
})

const only = (states: readonly ServiceState[]): ServiceState => {
  const [state, another] = states
  if (state === undefined || another !== undefined) throw new Error(`expected one state, got ${states.length}`)
  return state
}

const text = (targets: ServiceState['cluster']): readonly string[] =>
  targets.map(({ ip: address, port: number }) =>
    address.includes(':') ? `[${address}]:${number}` : `${address}:${number}`,
  )

const names = (world: World, targets: ServiceState['cluster']): string =>
  targets.map(({ ip: address }) => [1, 2, 3, 4, 5, 6, 7, 8, 9].find((n) => world.pod(n) === address) ?? '?').join('')

describe.each(worlds)('$family', (world) => {
  const { family, pod } = world
  const web = (over: Partial<Service> = {}): Service => service('ns/web', { clusterIPs: [ip(world.cluster)], ...over })
  const slices = (...endpoints: readonly Endpoint[]): readonly EndpointSlice[] => [
    slice('ns/web-1', endpoints, { family }),
  ]
  const state = (of: Service, from: readonly EndpointSlice[], over: Partial<DesiredContext> = {}): ServiceState =>
    only(desiredStates(of, from, context(world, over)))

  describe('S1 what is proxied', () => {
    it('S1.1 nothing without a ClusterIP of the family', () => {
      const foreign = web({ clusterIPs: [ip(world.elsewhere)], externalIPs: [ip(world.external)] })
      expect(desiredStates(foreign, slices(endpoint(pod(1))), context(world))).toEqual([])
    })

    it('S1.2 each family sees its own addresses and endpoints', () => {
      const dual = web({
        clusterIPs: [ip(world.elsewhere), ip(world.cluster)],
        externalIPs: [ip(world.elsewhere), ip(world.external)],
        loadBalancerIPs: [ip(world.vip), ip(world.elsewhere)],
      })
      const foreign = slice('ns/web-2', [endpoint(world.elsewhere)], { family: world.other })
      const found = state(dual, [...slices(endpoint(pod(1))), foreign])
      expect(found).toMatchObject({
        family,
        clusterIP: world.cluster,
        externalIPs: [world.external],
        loadBalancerIPs: [world.vip],
      })
      expect(text(found.cluster)).toEqual([world.shown(1)])
    })

    it('S1.3 one state per service port, named as kube-proxy does', () => {
      const ports = [servicePort({ name: 'http' }), servicePort({ name: 'dns', protocol: 'UDP', port: port(53) })]
      const states = desiredStates(web({ ports }), [], context(world))
      expect(states.map(({ id, name, protocol, port: number }) => [id, name, protocol, number])).toEqual([
        ['ns/web:http/tcp', 'ns/web:http', 'TCP', 80],
        ['ns/web:dns/udp', 'ns/web:dns', 'UDP', 53],
      ])
      expect(state(web(), [])).toMatchObject({ id: 'ns/web/tcp', name: 'ns/web' })
    })
  })

  describe('S2 addresses', () => {
    it('S2.5 are sorted, each once: ClusterIP before load balancer IP before external IP', () => {
      const found = state(
        web({
          externalIPs: [world.vip, world.external, world.cluster, world.external].map(ip),
          loadBalancerIPs: [world.vip, world.vip].map(ip),
        }),
        [],
      )
      expect(found).toMatchObject({ externalIPs: [world.external], loadBalancerIPs: [world.vip] })
      const sorted = state(web({ externalIPs: [world.vip, world.external].map(ip) }), [])
      expect(sorted.externalIPs).toEqual([world.vip, world.external].sort())
    })

    it('S9 leave out what another Service owns', () => {
      const full = web({
        ports: [servicePort({ nodePort: port(30_000) })],
        externalIPs: [ip(world.external)],
        loadBalancerIPs: [ip(world.vip)],
      })
      for (const [kind, lost] of [
        ['clusterIP', { clusterIP: undefined }],
        ['externalIP', { externalIPs: [] }],
        ['loadBalancerIP', { loadBalancerIPs: [] }],
        ['nodePort', { nodePort: undefined }],
      ] as const) {
        const found = state(full, [], { owns: (claim) => claim.kind !== kind })
        const whole = {
          clusterIP: world.cluster,
          externalIPs: [world.external],
          loadBalancerIPs: [world.vip],
          nodePort: 30_000,
        }
        expect(found).toMatchObject({ ...whole, ...lost })
      }
    })

    it('S9.1 an external IP whose claim as load balancer IP was lost is lost too when the owner is another', () => {
      const both = web({ externalIPs: [ip(world.vip)], loadBalancerIPs: [ip(world.vip)] })
      const found = state(both, [], { owns: (claim) => !('ip' in claim && claim.ip === world.vip) })
      expect(found).toMatchObject({ externalIPs: [], loadBalancerIPs: [] })
    })
  })

  describe('S3 endpoints', () => {
    it('S3.1 match by port name and protocol, over all slices', () => {
      const ports = [
        servicePort({ name: 'a' }),
        servicePort({ name: 'b', port: port(81) }),
        servicePort({ name: 'a-udp', protocol: 'UDP' }),
      ]
      const offered = [
        endpointPort({ name: 'a', port: port(8080) }),
        endpointPort({ name: 'b', protocol: 'UDP', port: port(8081) }),
        endpointPort({ name: 'a-udp', protocol: 'UDP', port: port(8082) }),
      ]
      const states = desiredStates(
        web({ ports }),
        [
          slice('ns/web-1', [endpoint(pod(2))], { family, ports: offered }),
          slice('ns/web-2', [endpoint(pod(1))], { family, ports: [endpointPort({ name: 'a', port: port(9090) })] }),
        ],
        context(world),
      )
      expect(states.map(({ cluster }) => cluster.map((target) => [target.ip, target.port]))).toEqual([
        [
          [pod(1), 9090],
          [pod(2), 8080],
        ],
        [],
        [[pod(2), 8082]],
      ])
    })

    it('S3.2 an address of the other family is not a target', () => {
      expect(text(state(web(), slices(endpoint(world.elsewhere), endpoint(pod(1)))).cluster)).toEqual([world.shown(1)])
    })

    it.each<[string, Partial<Endpoint>, Partial<Endpoint>, boolean]>([
      ['the one that is not terminating', { terminating: true, nodeName: 'here' }, { nodeName: 'there' }, false],
      ['it even when not ready', { terminating: true, nodeName: 'here' }, { ready: false, nodeName: 'there' }, false],
      ['the ready one of two', { ready: false, nodeName: 'there' }, { nodeName: 'here' }, true],
      [
        'the serving one of two terminating',
        { ready: false, serving: false, terminating: true, nodeName: 'there' },
        { ready: false, terminating: true, nodeName: 'here' },
        true,
      ],
      ['the same one always', { nodeName: 'there' }, { nodeName: 'here' }, true],
    ])('S3.4 of two with one ip:port %s counts, in any order', (_, one, two, local) => {
      const pair = [endpoint(pod(1), one), endpoint(pod(1), two)] as const
      const rest = endpoint(pod(2))
      const expected = state(web(), slices(...pair, rest))
      expect(state(web(), slices(rest, pair[1], pair[0]))).toEqual(expected)
      expect(state(web(), [...slices(pair[1]), slice('ns/web-2', [rest, pair[0]], { family })])).toEqual(expected)
      const found = expected.cluster.filter((target) => target.ip === pod(1))
      const winner = [one, two].find(({ nodeName }) => nodeName === (local ? 'here' : 'there'))
      expect(found.map((target) => target.local)).toEqual(winner?.ready === false ? [] : [local])
    })

    it('S3.4 the same address on another port is another endpoint', () => {
      const ports = [8080, 8081].map((number) => endpointPort({ port: port(number) }))
      expect(state(web(), [slice('ns/web-1', [endpoint(pod(1))], { family, ports })]).cluster).toHaveLength(2)
    })

    it('S3.5 are sorted by ip:port as text', () => {
      const addresses =
        family === 'IPv4'
          ? ['10.0.0.10', '10.0.0.9', '10.0.0.1', '10.0.0.100', '10.0.1.0', '9.0.0.1', '10.0.0.2']
          : ['fd00::10', 'fd00::1', 'fd00::', 'fd00::1a', 'fd00::a', 'fd00::1:1', 'fd00:1::', 'fd0::1', 'fd00::9']
      const from = [80, 8080, 443, 9].map((number, i) =>
        slice(
          `ns/web-${i}`,
          addresses.map((address) => endpoint(address)),
          {
            family,
            ports: [endpointPort({ port: port(number) })],
          },
        ),
      )
      const found = text(state(web(), from).cluster)
      expect(found).toHaveLength(addresses.length * 4)
      expect(found).toEqual([...found].sort())
    })
  })

  /** `12` = pods 1 and 2; letters say what differs from a ready pod elsewhere. */
  const local = { nodeName: 'here' }
  const down = { ready: false, serving: false }
  const draining = { ready: false, serving: true, terminating: true }
  const dead = { ready: false, serving: false, terminating: true }
  const pending = { ready: false, serving: true }

  describe('S4 which endpoints', () => {
    const nodePorted = { ports: [servicePort({ nodePort: port(30_000) })] }
    const everyNeed: readonly [string, Partial<Service>, string, string][] = [
      ['both policies Cluster', {}, '12', ''],
      ['external Local without an external address', { externalPolicy: 'Local' }, '12', ''],
      ['internal Local, not reachable from outside', { internalPolicy: 'Local' }, '', '1'],
      ['internal Local with a NodePort', { internalPolicy: 'Local', ...nodePorted }, '12', '1'],
      ['external Local with a NodePort', { externalPolicy: 'Local', ...nodePorted }, '12', '1'],
      ['both Local with a NodePort', { internalPolicy: 'Local', externalPolicy: 'Local', ...nodePorted }, '12', '1'],
      ['external Local with an external IP', { externalPolicy: 'Local', externalIPs: [ip(world.external)] }, '12', '1'],
      ['external Local with a VIP', { externalPolicy: 'Local', loadBalancerIPs: [ip(world.vip)] }, '12', '1'],
      [
        'external Local with a VIP of the other family',
        { externalPolicy: 'Local', loadBalancerIPs: [ip(world.elsewhere)] },
        '12',
        '',
      ],
    ]
    it.each(everyNeed)('S4.1 %s', (_, over, cluster, here) => {
      const found = state(web(over), slices(endpoint(pod(1), local), endpoint(pod(2))))
      expect([names(world, found.cluster), names(world, found.local)]).toEqual([cluster, here])
      expect(found.hasEndpoints).toBe(true)
    })

    it('S4.1 an external policy that nothing can use reads Cluster', () => {
      expect(state(web({ externalPolicy: 'Local' }), []).externalPolicy).toBe('Cluster')
      expect(state(web({ externalPolicy: 'Local', ...nodePorted }), []).externalPolicy).toBe('Local')
      const lost = state(web({ externalPolicy: 'Local', ...nodePorted }), [], {
        owns: ({ kind }) => kind !== 'nodePort',
      })
      expect(lost.externalPolicy).toBe('Cluster')
    })

    const cases: readonly [string, readonly Partial<Endpoint>[], string, string, boolean][] = [
      ['none', [], '', '', false],
      ['ready ones', [{}, local], '12', '2', true],
      ['ready and not ready', [{}, { ...local, ...down }, pending], '1', '', true],
      ['not one usable', [down, dead, pending, { ...local, ...down }], '', '', false],
      ['only draining', [draining, { ...local, ...draining }, dead], '12', '2', true],
      ['draining beside ready elsewhere', [{}, { ...local, ...draining }], '1', '2', true],
      ['draining beside ready here', [local, { ...local, ...draining }, draining], '1', '1', true],
      ['ready although terminating', [{ ...local, terminating: true }], '1', '1', true],
      ['draining here, ready nowhere', [{ ...local, ...draining }, draining, down], '12', '1', true],
    ]
    it.each(cases)('S4.2 S4.3 S4.4 S4.5 %s', (_, conditions, cluster, here, any) => {
      const from = slices(...conditions.map((over, i) => endpoint(pod(i + 1), over)))
      const found = state(web({ externalPolicy: 'Local', ...nodePorted }), from)
      expect([names(world, found.cluster), names(world, found.local), found.hasEndpoints]).toEqual([cluster, here, any])
      const inside = state(web({ internalPolicy: 'Local' }), from)
      expect([names(world, inside.cluster), names(world, inside.local), inside.hasEndpoints]).toEqual(['', here, any])
    })

    it('S4.6 an endpoint without a node name is nowhere local', () => {
      const found = state(web({ internalPolicy: 'Local' }), slices(endpoint(pod(1))))
      expect([found.local, found.hasEndpoints]).toEqual([[], true])
    })

    it('S4.6 a target says whether it runs here, and is one object in both lists', () => {
      const found = state(
        web({ internalPolicy: 'Local', ...nodePorted }),
        slices(endpoint(pod(1), local), endpoint(pod(2), { nodeName: 'there' })),
      )
      expect(found.cluster.map((target) => target.local)).toEqual([true, false])
      expect(found.local[0]).toBe(found.cluster[0])
    })
  })

  describe('S5 topology', () => {
    const node = (...hints: readonly string[]): Partial<Endpoint> => ({ nodeHints: hints })
    const zone = (...hints: readonly string[]): Partial<Endpoint> => ({ zoneHints: hints })
    const cases: readonly [string, readonly Partial<Endpoint>[], string][] = [
      ['S5.1 zone hints keep our zone', [zone('near'), zone('far'), zone('far', 'near')], '13'],
      ['S5.1 node hints keep our node', [node('here'), node('there'), node('there', 'here')], '13'],
      [
        'S5.1 nodes go before zones',
        [
          { ...node('there'), ...zone('near') },
          { ...node('here'), ...zone('far') },
        ],
        '2',
      ],
      [
        'S5.1 zones when no node hint names us',
        [
          { ...node('there'), ...zone('near') },
          { ...node('other'), ...zone('far') },
        ],
        '1',
      ],
      [
        'S5.2 one endpoint without a node hint turns nodes off, not zones',
        [{ ...node('here'), ...zone('far') }, zone('near')],
        '2',
      ],
      ['S5.2 one endpoint without a zone hint turns zones off', [zone('near'), zone('far'), {}], '123'],
      ['S5.2 an empty list of hints is no hint', [zone('near'), zone()], '12'],
      ['S5.2 no hint names us', [zone('far'), zone('further')], '12'],
      ['S5.3 an endpoint that is not ready has no say', [zone('near'), zone('far'), pending, down], '1'],
      ['S5.3 nor one that drains', [zone('near'), { ...draining, ...zone('near') }, zone('far'), draining], '1'],
      ['S5.3 hints of ones not ready do not count', [{ ...down, ...zone('near') }, zone('far')], '2'],
      [
        'S5.4 no ready endpoint: hints are not looked at',
        [
          { ...draining, ...zone('near') },
          { ...draining, ...zone('far') },
        ],
        '12',
      ],
    ]
    it.each(cases)('%s', (_, hints, expected) => {
      const from = slices(...hints.map((over, i) => endpoint(pod(i + 1), over)))
      expect(names(world, state(web(), from).cluster)).toBe(expected)
    })

    it('S5.5 a node without a zone label matches no zone', () => {
      const from = slices(endpoint(pod(1), zone('near')), endpoint(pod(2), zone('far')))
      expect(names(world, state(web(), from, { zone: undefined }).cluster)).toBe('12')
    })

    it('S5.6 never touches the Local list', () => {
      const from = slices(endpoint(pod(1), { ...local, ...zone('far') }), endpoint(pod(2), zone('near')))
      const found = state(web({ internalPolicy: 'Local', externalIPs: [ip(world.external)] }), from)
      expect([names(world, found.cluster), names(world, found.local)]).toEqual(['2', '1'])
    })
  })

  describe('S7 source ranges', () => {
    const ranged = (...ranges: readonly string[]): Service =>
      web({ loadBalancerIPs: [ip(world.vip)], sourceRanges: ranges.map(cidr) })
    const cases: readonly [string, readonly string[], readonly string[] | undefined, boolean][] = [
      ['S7.2 none: anyone', [], undefined, false],
      ['S7.2 only of the other family: anyone', [world.foreignRange], undefined, false],
      ['S7.2 one that holds everything: anyone', [world.range, world.zero], undefined, false],
      ['S7.2 the other family may hold everything', [world.range, world.foreignZero], [world.range], false],
      ['S7.3 the node is inside', [world.range, world.nodeRange], [world.range, world.nodeRange], true],
    ]
    it.each(cases)('%s', (_, ranges, expected, inside) => {
      const found = state(ranged(...ranges), [])
      expect([found.sourceRanges, found.nodeInSourceRanges]).toEqual([expected, inside])
    })

    it('S7.1 lists are as they were written, each range once', () => {
      const wide = family === 'IPv4' ? '203.0.113.0/24' : '2001:db8:1::/48'
      expect(state(ranged(world.range, wide, world.range), []).sourceRanges).toEqual([world.range, wide])
    })

    it('S7.1 concern load balancer IPs of the family only', () => {
      const without = web({ externalIPs: [ip(world.external)], sourceRanges: [cidr(world.nodeRange)] })
      expect(state(without, [])).toMatchObject({ sourceRanges: undefined, nodeInSourceRanges: false })
      const foreign = web({ loadBalancerIPs: [ip(world.elsewhere)], sourceRanges: [cidr(world.nodeRange)] })
      expect(state(foreign, [])).toMatchObject({ sourceRanges: undefined, nodeInSourceRanges: false })
    })

    it('S7.3 an unknown node IP is not inside', () => {
      expect(state(ranged(world.nodeRange), [], { nodeIP: undefined }).nodeInSourceRanges).toBe(false)
    })
  })

  describe('S8 affinity, scheduling and weights', () => {
    const weighted = (weights: Record<string, number>, over: Partial<Scheduling> = {}): Service =>
      web({
        internalPolicy: 'Local',
        externalIPs: [ip(world.external)],
        scheduling: { scheduler: 'wrr', flags: [], weights: new Map(Object.entries(weights)), ...over },
      })
    const named = { podName: 'p', nodeName: 'here', zone: 'z' }

    it('S8.1 affinity is handed on in seconds', () => {
      expect(state(web({ affinitySeconds: 10_800 }), []).affinitySeconds).toBe(10_800)
      expect(state(web(), []).affinitySeconds).toBeUndefined()
    })

    it('S8.2 a scheduler that the backend lacks becomes random', () => {
      const supportedSchedulers = new Set(['random', 'rr'] as const)
      const sh: Scheduling = { scheduler: 'sh', flags: ['sh-port'], weights: undefined }
      expect(state(web({ scheduling: sh }), []).scheduling).toEqual(sh)
      expect(state(web({ scheduling: sh }), [], { supportedSchedulers }).scheduling).toEqual({
        scheduler: 'random',
        flags: [],
        weights: undefined,
      })
    })

    it.each<[string, Record<string, number>, number]>([
      ['S8.3 the IP', { [pod(1)]: 5, p: 4, here: 3, z: 2 }, 5],
      ['S8.3 the pod', { p: 4, here: 3, z: 2 }, 4],
      ['S8.3 the node', { here: 3, z: 2 }, 3],
      ['S8.3 the zone', { z: 2 }, 2],
      ['S8.3 nothing', { q: 2 }, 1],
    ])('%s names the weight', (_, weights, expected) => {
      const found = state(weighted(weights), slices(endpoint(pod(1), named)))
      expect([...found.cluster, ...found.local].map(({ weight }) => weight)).toEqual([expected, expected])
      expect(found.scheduling.weights).toBeUndefined()
    })

    it('S8.4 0 drains: no list, no hints, nothing counts it', () => {
      const from = slices(
        endpoint(pod(1), { ...local, zoneHints: ['near'] }),
        endpoint(pod(2), { zoneHints: ['far'] }),
        endpoint(pod(3), {}),
      )
      const found = state(weighted({ [pod(1)]: 0, [pod(3)]: 0 }), from)
      expect([names(world, found.cluster), names(world, found.local), found.hasEndpoints]).toEqual(['2', '', true])
    })

    it('S8.4 drained endpoints that could be used are listed apart, whatever policies say', () => {
      const weights = new Map([
        [world.pod(1), 0],
        [world.pod(2), 0],
        [world.pod(3), 0],
        [world.pod(4), 0],
      ])
      const of = web({ scheduling: { scheduler: 'rr', flags: [], weights }, internalPolicy: 'Local' })
      const found = state(
        of,
        slices(
          endpoint(pod(4), { ready: false }),
          endpoint(pod(2), { ready: false, terminating: true }),
          endpoint(pod(1), { nodeName: 'here' }),
          endpoint(pod(3), { ready: false, serving: false, terminating: true }),
          endpoint(pod(5), { nodeName: 'here' }),
        ),
      )
      expect(names(world, found.local)).toBe('5')
      expect(found.drained?.map(({ weight, local }) => [weight, local])).toEqual([
        [0, true],
        [0, false],
      ])
      expect(names(world, found.drained ?? [])).toBe('12')
    })

    it('S8.4 nothing is said of drained endpoints where there are none, or another description is not drained', () => {
      expect('drained' in state(web(), slices(endpoint(pod(1))))).toBe(false)
      const byNode = web({ scheduling: { scheduler: 'rr', flags: [], weights: new Map([['out', 0]]) } })
      expect('drained' in state(byNode, slices(endpoint(pod(1))))).toBe(false)
      const twice = slices(endpoint(pod(1), { nodeName: 'out' }), endpoint(pod(1), { nodeName: 'in' }))
      expect('drained' in state(byNode, twice)).toBe(false)
    })

    it('S8.4 with every ready endpoint drained, terminating ones serve', () => {
      const found = state(weighted({ [pod(1)]: 0 }), slices(endpoint(pod(1)), endpoint(pod(2), draining)))
      expect(names(world, found.cluster)).toBe('2')
    })

    it('S8.4 with all drained there is no usable endpoint', () => {
      const found = state(weighted({ here: 0, z: 0 }), slices(endpoint(pod(1), local), endpoint(pod(2), { zone: 'z' })))
      expect([found.cluster, found.local, found.hasEndpoints]).toEqual([[], [], false])
    })

    it('S8.4 a more specific weight saves an endpoint of a drained node', () => {
      const from = slices(endpoint(pod(1), { ...named, podName: 'saved' }), endpoint(pod(2), named))
      expect(names(world, state(weighted({ here: 0, saved: 2 }), from).cluster)).toBe('1')
    })
  })
})

import fc from 'fast-check'
import type { DetectLocal } from '../../src/desired/detect-local.ts'
import type { HostSettings } from '../../src/desired/host-state.ts'
import type { ModelChange } from '../../src/model/change.ts'
import type { Endpoint, EndpointSlice } from '../../src/model/endpoint-slice.ts'
import { type Family, families, type IP, isFamily } from '../../src/model/ip.ts'
import { serviceKey, sliceKey } from '../../src/model/names.ts'
import type { Node, ServiceCidr } from '../../src/model/node.ts'
import { type Scheduling, schedulers } from '../../src/model/scheduling.ts'
import type { Service, ServicePort } from '../../src/model/service.ts'
import { cidr, endpoint, endpointPort, ip, node, port, service, slice } from '../property/track-objects.ts'

/**
 * A cluster with everything that the nftables table can express, and so small that its objects meet all the time: shared
 * addresses, shared node ports, shared pods, pods that come back elsewhere.
 */

const pick = <const T>(...values: readonly T[]): fc.Arbitrary<T> => fc.constantFrom(...values)
const some = <T>(...values: readonly T[]): fc.Arbitrary<T[]> => fc.subarray([...values])
/** `rare` once in `of` times. */
const seldom = <T>(of: number, usual: fc.Arbitrary<T>, rare: fc.Arbitrary<T>): fc.Arbitrary<T> =>
  fc.oneof({ weight: of - 1, arbitrary: usual }, { weight: 1, arbitrary: rare })

/** Names as long as the API allows: longer together than a comment in nf_tables may be. */
const long = { namespace: 'n'.repeat(63), name: 's'.repeat(63), port: 'p-234567890-234' } as const
const names = ['a/one', 'a/two', 'b/one', 'b/two', 'c/one', `${long.namespace}/${long.name}`] as const

const addresses = ['10.96.0.1', '10.96.0.2', '10.96.0.3', 'fd00::1', 'fd00::2', 'fd00::3'].map(ip)
const vips = ['203.0.113.1', '203.0.113.2', '2001:db8::1', '2001:db8::2'].map(ip)
const of = (list: readonly IP[], family: Family): readonly IP[] => list.filter((each) => isFamily(each, family))

const anyPort: fc.Arbitrary<ServicePort> = fc.record({
  name: pick('x', 'y', long.port),
  protocol: pick('TCP', 'UDP', 'SCTP'),
  port: pick(port(80), port(81)),
  nodePort: pick(undefined, undefined, port(30_000), port(30_001)),
})

const clusterIPs = fc
  .tuple(pick(...of(addresses, 'IPv4')), pick(...of(addresses, 'IPv6')))
  .chain(([four, six]) => pick([four], [six], [four, six], [four, six], [six, four]))

const weights = pick<Scheduling['weights']>(
  undefined,
  undefined,
  new Map([['here', 0]]),
  new Map([['10.0.0.1', 3]]),
  new Map([
    ['10.0.0.1', 2],
    ['fd01::1', 4],
    ['there', 6],
  ]),
  new Map([
    ['near', 5],
    ['pod-2', 0],
  ]),
)

const heavy = new Map([
  ['10.0.0.1', 65_535],
  ['fd01::1', 65_535],
])

/** Maglev's tables and unfolded weights are thousands of elements long: they are for lives of their own. */
const scheduling = (large: boolean): fc.Arbitrary<Scheduling> =>
  fc.record({
    scheduler: large ? pick('mh', 'wrr', 'random') : pick(...schedulers.filter((name) => name !== 'mh')),
    flags: some('sh-port', 'mh-port', 'sh-fallback'),
    weights: large ? seldom(4, weights, pick(heavy)) : weights,
  })

const anyService = (large: boolean): fc.Arbitrary<Service> =>
  fc
    .record({
      name: pick(...names),
      created: pick(0, 1, 2),
      clusterIPs,
      externalIPs: some(...vips, ...addresses.slice(0, 1)),
      loadBalancerIPs: some(...vips),
      sourceRanges: some(
        ...['192.0.2.0/24', '192.0.2.128/25', '10.0.0.0/8', '2001:db8::/32', 'fd00::/8'].map(cidr),
        ...['0.0.0.0/0', '::/0'].map(cidr).slice(0, 1),
      ),
      ports: fc.uniqueArray(anyPort, { minLength: 1, maxLength: 2, selector: (each) => each.name }),
      internalPolicy: pick('Cluster', 'Local'),
      externalPolicy: pick('Cluster', 'Local'),
      affinitySeconds: pick(undefined, undefined, 10, 10_800),
      healthCheckNodePort: pick(undefined, port(30_000)),
      scheduling: scheduling(large),
    })
    .map(({ name, ...rest }) => ({ ...service(name, rest), key: keyOf(name) }))

const keyOf = (name: string) => {
  const [namespace = '', bare = ''] = name.split('/')
  return serviceKey(namespace, bare)
}

const podIPs = {
  IPv4: Array.from({ length: 20 }, (_, i) => `10.0.0.${i + 1}`),
  IPv6: Array.from({ length: 20 }, (_, i) => `fd01::${(i + 1).toString(16)}`),
} as const

const anyEndpoint = (family: Family): fc.Arbitrary<Endpoint> =>
  fc
    .record({
      pod: seldom(3, fc.nat(5), fc.nat(19)),
      state: pick('ready', 'ready', 'ready', 'draining', 'gone'),
      nodeName: pick(undefined, 'here', 'here', 'there'),
      zone: pick(undefined, 'near', 'far'),
      zoneHints: pick(undefined, undefined, ['near'], ['far', 'near']),
      nodeHints: pick(undefined, undefined, ['here'], ['there']),
    })
    .map(({ pod, state, ...rest }) =>
      endpoint(podIPs[family][pod] ?? '', {
        ...rest,
        podName: `pod-${pod}`,
        ready: state === 'ready',
        serving: state !== 'gone',
        terminating: state !== 'ready',
      }),
    )

const anyEndpoints = (family: Family): fc.Arbitrary<readonly Endpoint[]> =>
  seldom(
    6,
    fc.array(anyEndpoint(family), { maxLength: 5 }),
    // So many that the service moves on to the next size of table.
    fc.nat(14).map((more) => podIPs[family].slice(0, 5 + more).map((each) => endpoint(each, { nodeName: 'here' }))),
  )

const anySlice: fc.Arbitrary<EndpointSlice> = pick(...families).chain((family) =>
  fc
    .record({
      service: pick(...names),
      number: pick(1, 2),
      endpoints: anyEndpoints(family),
      port: pick(port(8_080), port(9_090)),
    })
    .map(({ service: name, number, endpoints, port: target }) => {
      const ports = (['TCP', 'UDP', 'SCTP'] as const).flatMap((protocol) =>
        ['x', 'y', long.port].map((portName) => endpointPort({ name: portName, protocol, port: target })),
      )
      const [namespace = '', bare = ''] = name.split('/')
      const key = sliceKey(namespace, `${bare}-${family}-${number}`)
      return { ...slice('a/b-1', endpoints, { family, ports, service: keyOf(name) }), key }
    }),
)

const anyNode: fc.Arbitrary<Node> = fc
  .record({
    zone: pick(undefined, 'near', 'far'),
    addresses: some(ip('192.0.2.10'), ip('192.0.2.200'), ip('2001:db8::10')),
    podCidrs: pick([], [cidr('10.0.0.0/24'), cidr('fd01::/64')], [cidr('10.0.0.0/25')], [cidr('fd01::/72')]),
  })
  .map(node)

/** Neighbours, nested ones, and some that end at the last address there is. */
const anyServiceCidr: fc.Arbitrary<ServiceCidr> = fc.record({
  name: pick('kubernetes', 'more'),
  cidrs: some(
    ...['10.96.0.0/16', '10.97.0.0/16', '10.96.1.0/24', '10.0.0.0/8', '255.0.0.0/8'].map(cidr),
    ...['fd00::/112', 'fd00::1:0/112', 'fd00::/16', 'ff00::/8'].map(cidr),
  ),
})

const anyPut = (large: boolean): fc.Arbitrary<ModelChange> =>
  fc.oneof(
    {
      weight: 5,
      arbitrary: anyService(large).map((value): ModelChange => ({ kind: 'service', key: value.key, value })),
    },
    { weight: 7, arbitrary: anySlice.map((value): ModelChange => ({ kind: 'slice', key: value.key, value })) },
    { weight: 1, arbitrary: anyNode.map((value): ModelChange => ({ kind: 'node', value })) },
    {
      weight: 1,
      arbitrary: anyServiceCidr.map((value): ModelChange => ({ kind: 'serviceCidr', name: value.name, value })),
    },
  )

const gone = (change: ModelChange): ModelChange => ({ ...change, value: undefined })

const anyChange = (large: boolean): fc.Arbitrary<ModelChange> => seldom(4, anyPut(large), anyPut(large).map(gone))

/** What goes wrong at a write: how, and at which one of the sync (0 = the first). */
export interface Fault {
  readonly at: number
  readonly kind: 'refused' | 'lost' | 'written, then lost' | 'program'
}

export type Step =
  | { readonly kind: 'changes'; readonly batch: readonly ModelChange[] }
  | { readonly kind: 'addresses'; readonly addresses: readonly IP[] }
  | { readonly kind: 'sync'; readonly faults: readonly Fault[] }
  | { readonly kind: 'tidy' }

const anyFault: fc.Arbitrary<Fault> = fc.record({
  at: fc.nat(2),
  kind: pick('refused', 'lost', 'written, then lost', 'program'),
})

const nodeAddresses = ['192.0.2.10', '192.0.2.11', '127.0.0.1', '2001:db8::10', '2001:db8::11', '::1'].map(ip)

const anyStep = (large: boolean): fc.Arbitrary<Step> =>
  fc.oneof(
    {
      weight: 5,
      arbitrary: fc
        .array(anyChange(large), { minLength: 1, maxLength: 6 })
        .map((batch): Step => ({ kind: 'changes', batch })),
    },
    {
      weight: 5,
      arbitrary: seldom(4, fc.constant<readonly Fault[]>([]), fc.array(anyFault, { minLength: 1, maxLength: 2 })).map(
        (faults): Step => ({ kind: 'sync', faults }),
      ),
    },
    { weight: 1, arbitrary: some(...nodeAddresses).map((list): Step => ({ kind: 'addresses', addresses: list })) },
    { weight: 1, arbitrary: fc.constant<Step>({ kind: 'tidy' }) },
  )

const detectLocal = pick<DetectLocal>(
  { kind: 'NodeCIDR' },
  { kind: 'NodeCIDR' },
  { kind: 'ClusterCIDR', cidrs: ['10.0.0.0/8', 'fd01::/16'].map(cidr) },
  { kind: 'BridgeInterface', name: 'cni0' },
  { kind: 'InterfaceNamePrefix', prefix: 'veth' },
)

const anySettings: fc.Arbitrary<HostSettings> = fc.record({
  bindAddress: fc.constant(undefined),
  nodePortAddresses: pick<HostSettings['nodePortAddresses']>(
    'primary',
    [],
    [cidr('192.0.2.0/24'), cidr('2001:db8::/32')],
  ),
  loopbackNodePorts: fc.constant(false),
  detectLocal,
  masqueradeAll: fc.boolean(),
  masqueradeBit: pick(14, 0, 31),
})

/** A node's life: its configuration, and what happens to it. Full-size: what went before is not only setting up. */
export interface Life {
  readonly settings: HostSettings
  readonly steps: readonly Step[]
}

export const anyLife = (steps: number, { large = false } = {}): fc.Arbitrary<Life> =>
  fc.record({
    settings: anySettings,
    steps: fc
      .tuple(
        fc.array(anyPut(large), { minLength: 10, maxLength: 20 }),
        fc.array(anyStep(large), { minLength: Math.ceil(steps / 2), maxLength: steps, size: 'max' }),
      )
      .map(([objects, list]): readonly Step[] => [{ kind: 'changes', batch: objects }, ...list]),
  })

/** What makes two changes about the same object. */
export const subject = (change: ModelChange): string => {
  switch (change.kind) {
    case 'node':
      return 'node'
    case 'serviceCidr':
      return `cidr ${change.name}`
    case 'service':
    case 'slice':
      return `${change.kind} ${change.key}`
  }
}

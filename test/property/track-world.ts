import fc from 'fast-check'
import { healthCheck } from '../../src/desired/health-checks.ts'
import { nodeIPs } from '../../src/desired/node-ips.ts'
import { desiredStates } from '../../src/desired/service-states.ts'
import type { ModelChange } from '../../src/model/change.ts'
import type { ServiceState } from '../../src/model/desired.ts'
import type { Endpoint, EndpointSlice } from '../../src/model/endpoint-slice.ts'
import { type Family, families, isFamily } from '../../src/model/ip.ts'
import type { ServiceKey } from '../../src/model/names.ts'
import type { Node, ServiceCidr } from '../../src/model/node.ts'
import { nothingRequested, schedulers } from '../../src/model/scheduling.ts'
import type { Service, ServicePort } from '../../src/model/service.ts'
import type { Tracker } from '../../src/track/tracker.ts'
import { cidr, endpoint, endpointPort, ip, key, node, port, service, slice } from './track-objects.ts'

/** A cluster so small that its objects meet all the time: shared addresses, shared ports, shared pods. */

const names = ['a/one', 'a/two', 'b/one', 'b/two', 'c/one', 'c/two', 'd/one', 'd/two', 'e/one', 'e/two'] as const
const pick = <const T>(...values: readonly T[]): fc.Arbitrary<T> => fc.constantFrom(...values)
const some = <T>(...values: readonly T[]): fc.Arbitrary<T[]> => fc.subarray([...values])

const addresses = ['10.96.0.1', '10.96.0.2', 'fd00::1', 'fd00::2', '203.0.113.1', '2001:db8::1'].map(ip)
const anyPort: fc.Arbitrary<ServicePort> = fc.record({
  name: pick('x', 'y'),
  protocol: pick('TCP', 'UDP'),
  port: pick(port(80), port(81)),
  nodePort: pick(undefined, port(30_000), port(30_001)),
})
const clusterIPs = fc
  .tuple(pick(...addresses.filter((a) => isFamily(a, 'IPv4'))), pick(...addresses.filter((a) => isFamily(a, 'IPv6'))))
  .chain(([four, six]) => pick([four], [six], [four, six], [six, four]))

export const anyService: fc.Arbitrary<Service> = fc
  .record({
    name: pick(...names),
    created: pick(0, 1, 2),
    clusterIPs,
    externalIPs: some(...addresses),
    loadBalancerIPs: some(...addresses),
    sourceRanges: some(cidr('192.0.2.0/24'), cidr('10.0.0.0/8'), cidr('2001:db8::/32'), cidr('::/0')),
    ports: fc.uniqueArray(anyPort, { minLength: 1, maxLength: 2, selector: (each) => each.name }),
    internalPolicy: pick('Cluster', 'Local'),
    externalPolicy: pick('Cluster', 'Local'),
    healthCheckNodePort: pick(undefined, port(30_000), port(32_000)),
    weights: pick(undefined, new Map([['here', 0]]), new Map([['10.0.0.1', 3]])),
  })
  .map(({ name, weights, ...rest }) => service(name, { ...rest, scheduling: { ...nothingRequested, weights } }))

const anyEndpoint = (family: Family): fc.Arbitrary<Endpoint> =>
  fc
    .record({
      address: pick(...(family === 'IPv4' ? ['10.0.0.1', '10.0.0.2', '10.0.0.10'] : ['fd01::1', 'fd01::2', 'fd01::a'])),
      ready: fc.boolean(),
      serving: fc.boolean(),
      terminating: fc.boolean(),
      nodeName: pick(undefined, 'here', 'there'),
      zoneHints: pick(undefined, ['near'], ['far', 'near']),
      nodeHints: pick(undefined, ['here'], ['there']),
    })
    .map(({ address, ...rest }) => endpoint(address, rest))

export const anySlice: fc.Arbitrary<EndpointSlice> = pick(...families).chain((family) =>
  fc
    .record({
      of: pick(...names),
      number: pick(1, 2),
      endpoints: fc.array(anyEndpoint(family), { maxLength: 4 }),
      port: pick(port(8_080), port(9_090)),
      triggeredAt: pick(undefined, 5, 50),
    })
    .map(({ of, number, endpoints, port: target, triggeredAt }) => {
      const ports = (['TCP', 'UDP'] as const).flatMap((protocol) =>
        ['x', 'y'].map((name) => endpointPort({ name, protocol, port: target })),
      )
      return slice(`${of}-${family}${number}`, endpoints, { family, ports, triggeredAt, service: key(of) })
    }),
)

export const anyNode: fc.Arbitrary<Node> = fc
  .record({ zone: pick(undefined, 'near', 'far'), addresses: some(ip('192.0.2.10'), ip('2001:db8::10')) })
  .map(node)

export const anyServiceCidr: fc.Arbitrary<ServiceCidr> = fc.record({
  name: pick('kubernetes', 'more'),
  cidrs: some(cidr('10.96.0.0/16'), cidr('10.96.1.0/24'), cidr('fd00::/112')),
})

export const putService = (value: Service): ModelChange => ({ kind: 'service', key: value.key, value })
export const putSlice = (value: EndpointSlice): ModelChange => ({ kind: 'slice', key: value.key, value })
const putNode = (value: Node): ModelChange => ({ kind: 'node', value })
const putCidr = (value: ServiceCidr): ModelChange => ({ kind: 'serviceCidr', name: value.name, value })

/** The same object, gone. */
const gone = (change: ModelChange): ModelChange => ({ ...change, value: undefined })

export const anyPut: fc.Arbitrary<ModelChange> = fc.oneof(
  { weight: 4, arbitrary: anyService.map(putService) },
  { weight: 5, arbitrary: anySlice.map(putSlice) },
  { weight: 1, arbitrary: anyNode.map(putNode) },
  { weight: 1, arbitrary: anyServiceCidr.map(putCidr) },
)
export const anyChange: fc.Arbitrary<ModelChange> = fc.oneof(
  { weight: 3, arbitrary: anyPut },
  { weight: 1, arbitrary: anyPut.map(gone) },
)

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

/** What a node would make of one Service: every state and health check, both families. */
export const computed = (tracker: Tracker, wanted: ServiceKey): readonly unknown[] => {
  const found = tracker.service(wanted)
  if (found === undefined) return []
  const last = tracker.lastNode()
  const ips = nodeIPs(undefined, last)
  return families.flatMap((family): readonly unknown[] => {
    const context = {
      family,
      nodeName: 'here',
      zone: last?.zone,
      nodeIP: ips[family],
      owns: (claim: Parameters<Tracker['owns']>[0]) => tracker.owns(claim),
      supportedSchedulers: new Set(schedulers),
    }
    const slices = tracker.slicesOf(wanted)
    const states: readonly ServiceState[] = desiredStates(found, slices, context)
    return [...states, healthCheck(found, slices, context)]
  })
}

/** Everything at once, by Service. */
export const everything = (tracker: Tracker): ReadonlyMap<ServiceKey, readonly unknown[]> =>
  new Map([...tracker.services()].map((each) => [each.key, computed(tracker, each.key)] as const).sort(byKey))

const byKey = ([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number => (a < b ? -1 : 1)

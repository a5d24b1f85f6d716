import type { ModelChange } from '../../src/model/change.ts'
import type { EndpointSlice } from '../../src/model/endpoint-slice.ts'
import { type Family, families } from '../../src/model/ip.ts'
import { sliceKey } from '../../src/model/names.ts'
import type { Service } from '../../src/model/service.ts'
import { cidr, endpoint, endpointPort, ip, key, node, port, service, servicePort } from '../property/track-objects.ts'

/** A dual-stack cluster in which every set and every kind of chain of the table has something in it. */

export const put = (value: Service): ModelChange => ({ kind: 'service', key: value.key, value })
export const drop = (name: string): ModelChange => ({ kind: 'service', key: key(name), value: undefined })
export const putSlice = (value: EndpointSlice): ModelChange => ({ kind: 'slice', key: value.key, value })

/** The slice of `ns/name` in one family: endpoints `10.0.<of>.<n>` or `fd01:<of>::<n>`, the first one on this node. */
export const sliceOf = (name: string, family: Family, of: number, count: number): EndpointSlice => ({
  key: sliceKey('ns', `${name}-${family.toLowerCase()}`),
  service: key(`ns/${name}`),
  family,
  ports: [endpointPort()],
  endpoints: Array.from({ length: count }, (_, i) =>
    endpoint(family === 'IPv4' ? `10.0.${of}.${i + 1}` : `fd01:${of}::${i + 1}`, {
      nodeName: i === 0 ? 'here' : 'there',
    }),
  ),
  triggeredAt: undefined,
})

export const withEndpoints = (name: string, of: number, count: number): readonly ModelChange[] =>
  families.map((family) => putSlice(sliceOf(name, family, of, count)))

const clusterIPs = (n: number) => [ip(`10.96.0.${n}`), ip(`fd00::${n}`)]
const external = {
  loadBalancerIPs: [ip('203.0.113.1'), ip('2001:db8::1')],
  sourceRanges: [cidr('192.0.2.0/24'), cidr('2001:db8::/32')],
} as const

/** An ordinary Service, number `n`, with `count` endpoints. */
export const plain = (n: number, count = 3): readonly ModelChange[] => [
  put(service(`ns/plain-${n}`, { clusterIPs: clusterIPs(n) })),
  ...withEndpoints(`plain-${n}`, n, count),
]

export const cluster: readonly ModelChange[] = [
  {
    kind: 'node',
    value: node({
      addresses: [ip('192.0.2.10'), ip('2001:db8::10')],
      podCidrs: [cidr('10.0.0.0/16'), cidr('fd01::/16')],
    }),
  },
  {
    kind: 'serviceCidr',
    name: 'kubernetes',
    value: { name: 'kubernetes', cidrs: [cidr('10.96.0.0/16'), cidr('fd00::/108')] },
  },
  ...plain(1),
  put(service('ns/sticky', { clusterIPs: clusterIPs(2), affinitySeconds: 600 })),
  ...withEndpoints('sticky', 2, 3),
  put(
    service('ns/local', {
      ...external,
      clusterIPs: clusterIPs(3),
      externalPolicy: 'Local',
      ports: [servicePort({ nodePort: port(30_003) })],
    }),
  ),
  ...withEndpoints('local', 3, 4),
  put(service('ns/empty', { clusterIPs: clusterIPs(4), ports: [servicePort({ nodePort: port(30_004) })] })),
  put(
    service('ns/turns', {
      clusterIPs: clusterIPs(5),
      affinitySeconds: 600,
      ports: [servicePort({ nodePort: port(30_005) })],
      scheduling: { scheduler: 'rr', flags: [], weights: undefined },
    }),
  ),
  ...withEndpoints('turns', 5, 3),
]

export const nodeAddresses = [ip('192.0.2.10'), ip('2001:db8::10')] as const

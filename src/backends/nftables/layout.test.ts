import { describe, expect, it } from 'vitest'
import { cidr, ip, key, port } from '../../../test/property/track-objects.ts'
import { defaultConnections } from '../../model/connections.ts'
import type { ServiceState, Target } from '../../model/desired.ts'
import type { HostState } from '../../model/host.ts'
import { servicePortId, servicePortName } from '../../model/names.ts'
import { defaultScheduling } from '../../model/scheduling.ts'
import { hostElements, layOutService } from './layout.ts'
import { elementText } from './text.ts'

const name = servicePortName(key('ns/web'), 'http')
const target = (n: number, local = false): Target => ({ ip: ip(`10.0.0.${n}`), port: port(8080), weight: 1, local })

const base: ServiceState = {
  id: servicePortId(name, 'TCP'),
  name,
  service: key('ns/web'),
  family: 'IPv4',
  protocol: 'TCP',
  port: port(80),
  clusterIP: ip('10.96.0.1'),
  externalIPs: [],
  loadBalancerIPs: [],
  nodePort: undefined,
  healthCheckNodePort: undefined,
  sourceRanges: undefined,
  nodeInSourceRanges: false,
  internalPolicy: 'Cluster',
  externalPolicy: 'Cluster',
  affinitySeconds: undefined,
  scheduling: defaultScheduling,
  connections: defaultConnections,
  cluster: [target(1, true), target(2)],
  local: [],
  hasEndpoints: true,
}

/** Elements as nft writes them, by set and without comments; the chains in the order in which they are asked for. */
const laidOut = (over: Partial<ServiceState>) => {
  const sets: Record<string, string[]> = {}
  const chains: string[] = []
  layOutService(
    { ...base, ...over },
    {
      element: (element) => {
        const text = elementText(element).replace(' comment "ns/web:http"', '')
        sets[element.set] = [...(sets[element.set] ?? []), text]
      },
      chain: (chain) => void chains.push(chain),
    },
  )
  return { ...sets, chains }
}

const slotsOf = (server: string, ...endpoints: readonly (readonly [slot: number, n: number])[]): readonly string[] =>
  endpoints.map(([slot, n]) => `${server} . ${slot} : 10.0.0.${n} . 8080`)

describe('a cluster IP', () => {
  it('leads to all endpoints', () => {
    expect(laidOut({})).toEqual({
      'cluster-ips': ['10.96.0.1'],
      services: ['10.96.0.1 . tcp . 80 : goto random-upto4'],
      endpoints: slotsOf('10.96.0.1 . tcp . 80', [0, 1], [1, 2]),
      'hairpin-connections': ['10.0.0.1 . 10.0.0.1 . tcp . 8080'],
      chains: ['random-upto4'],
    })
  })

  it('leads to local ones under internalTrafficPolicy Local', () => {
    const laid = laidOut({ internalPolicy: 'Local', cluster: [], local: [target(1, true)] })
    expect(laid).toMatchObject({
      services: ['10.96.0.1 . tcp . 80 : goto random-upto4'],
      endpoints: slotsOf('10.96.0.1 . tcp . 80', [0, 1]),
    })
  })

  it('drops when there are endpoints and none is here, rejects when there are none at all', () => {
    expect(laidOut({ internalPolicy: 'Local', cluster: [], local: [] })).toEqual({
      'cluster-ips': ['10.96.0.1'],
      'no-endpoint-services': ['10.96.0.1 . tcp . 80 : drop'],
      chains: [],
    })
    expect(laidOut({ cluster: [], hasEndpoints: false })).toEqual({
      'cluster-ips': ['10.96.0.1'],
      'no-endpoint-services': ['10.96.0.1 . tcp . 80 : goto reject-chain'],
      chains: [],
    })
  })

  it('that another Service owns is left out', () => {
    expect(laidOut({ clusterIP: undefined, nodePort: port(30_000) })).not.toHaveProperty('services')
  })
})

describe('external addresses', () => {
  const external = {
    externalIPs: [ip('198.51.100.1')],
    loadBalancerIPs: [ip('203.0.113.1')],
    nodePort: port(30_000),
  } as const

  it('masquerade under policy Cluster', () => {
    expect(laidOut(external)).toMatchObject({
      services: [
        '10.96.0.1 . tcp . 80 : goto random-upto4',
        '203.0.113.1 . tcp . 80 : goto random-upto4-masq',
        '198.51.100.1 . tcp . 80 : goto random-upto4-masq',
      ],
      nodeports: ['tcp . 30000 : goto nodeport-random-upto4-masq'],
      'nodeport-endpoints': slotsOf('tcp . 30000', [0, 1], [1, 2]),
    })
  })

  it('are split under policy Local: local endpoints for others, all of them for pods and the node', () => {
    const laid = laidOut({ ...external, externalPolicy: 'Local', local: [target(1, true)] })
    const both: readonly (readonly [number, number])[] = [
      [0, 1],
      [65_536, 1],
      [65_537, 2],
    ]
    expect(laid).toMatchObject({
      services: [
        '10.96.0.1 . tcp . 80 : goto random-upto4',
        '203.0.113.1 . tcp . 80 : goto split-random-upto4-cluster-upto4',
        '198.51.100.1 . tcp . 80 : goto split-random-upto4-cluster-upto4',
      ],
      nodeports: ['tcp . 30000 : goto split-nodeport-random-upto4-cluster-upto4'],
      'nodeport-endpoints': slotsOf('tcp . 30000', ...both),
    })
    expect(laid).toHaveProperty('endpoints', [
      ...slotsOf('10.96.0.1 . tcp . 80', [0, 1], [1, 2]),
      ...slotsOf('203.0.113.1 . tcp . 80', ...both),
      ...slotsOf('198.51.100.1 . tcp . 80', ...both),
    ])
    expect(laid.chains).toContain('random-upto4-cluster')
    expect(laid.chains).toContain('random-upto4-local')
    expect(laid.chains).not.toContain('random-upto4-masq')
  })

  it('drop under policy Local when no endpoint is here, but not for pods and the node', () => {
    expect(laidOut({ ...external, externalPolicy: 'Local', local: [] })).toMatchObject({
      services: [
        '10.96.0.1 . tcp . 80 : goto random-upto4',
        '203.0.113.1 . tcp . 80 : goto split-random-upto4-cluster',
        '198.51.100.1 . tcp . 80 : goto split-random-upto4-cluster',
      ],
      'no-endpoint-services': ['203.0.113.1 . tcp . 80 : drop', '198.51.100.1 . tcp . 80 : drop'],
      'no-endpoint-nodeports': ['tcp . 30000 : drop'],
    })
  })

  it('asked for twice are laid out once', () => {
    const address = ip('203.0.113.1')
    const laid = laidOut({ externalIPs: [address], loadBalancerIPs: [address] })
    expect(laid).toMatchObject({
      services: ['10.96.0.1 . tcp . 80 : goto random-upto4', '203.0.113.1 . tcp . 80 : goto random-upto4-masq'],
    })
    expect(laidOut({ externalIPs: [ip('10.96.0.1')] })).toEqual(laidOut({}))
  })
})

describe('source ranges', () => {
  const guarded = { loadBalancerIPs: [ip('203.0.113.1')], externalIPs: [ip('198.51.100.1')] } as const

  it('guard load balancer addresses alone', () => {
    const laid = laidOut({ ...guarded, sourceRanges: [cidr('192.0.2.0/24'), cidr('10.0.0.0/8')] })
    expect(laid).toMatchObject({
      'guarded-services': ['203.0.113.1 . tcp . 80'],
      'allowed-sources': ['203.0.113.1 . tcp . 80 . 10.0.0.0/8', '203.0.113.1 . tcp . 80 . 192.0.2.0/24'],
    })
  })

  it('let the addresses themselves in if the node is inside', () => {
    const laid = laidOut({ ...guarded, sourceRanges: [cidr('192.0.2.0/24')], nodeInSourceRanges: true })
    expect(laid).toHaveProperty('allowed-sources', [
      '203.0.113.1 . tcp . 80 . 192.0.2.0/24',
      '203.0.113.1 . tcp . 80 . 203.0.113.1/32',
    ])
  })
})

describe('session affinity', () => {
  it('has a recorder for its time, and chains that look there first', () => {
    const laid = laidOut({ affinitySeconds: 600, nodePort: port(30_000) })
    expect(laid).toMatchObject({
      services: ['10.96.0.1 . tcp . 80 : goto random-upto4-sticky'],
      'sticky-services': ['10.96.0.1 . tcp . 80 : goto record-600s'],
      'sticky-nodeports': ['tcp . 30000 : goto record-600s'],
    })
    expect(laid.chains).toEqual(expect.arrayContaining(['affinity-record', 'record-600s']))
  })
})

describe('schedulers', () => {
  it('with a counter have chains of their own', () => {
    const laid = laidOut({ scheduling: { ...defaultScheduling, scheduler: 'rr' }, nodePort: port(30_000) })
    expect(laid).toMatchObject({
      services: ['10.96.0.1 . tcp . 80 : goto rr-2-ns/web/http/tcp'],
      nodeports: ['tcp . 30000 : goto nodeport-rr-2-masq-ns/web/http/tcp'],
    })
  })

  it('with weights have as many slots', () => {
    const cluster = [target(1), { ...target(2), weight: 2 }]
    expect(laidOut({ cluster })).toHaveProperty('endpoints', slotsOf('10.96.0.1 . tcp . 80', [0, 1], [1, 2], [2, 2]))
  })
})

describe('what follows from the host', () => {
  const host: HostState = {
    family: 'IPv4',
    detector: { kind: 'none' },
    masqueradeAll: false,
    masqueradeMark: 0x4000,
    nodePortAddresses: { kind: 'some', addresses: [ip('192.0.2.10')] },
    serviceCidrs: [cidr('10.96.0.0/16'), cidr('255.0.0.0/8'), cidr('10.96.1.0/24')],
    addresses: [],
  }
  const texts = (of: HostState) => hostElements(of).map(({ set, key: parts }) => `${set} ${parts.join(' ')}`)

  it('is where node ports are accepted, and service networks as ends of intervals', () => {
    expect(texts(host)).toEqual([
      'nodeport-ips 192.0.2.10',
      'service-cidrs begin 10.96.0.0',
      'service-cidrs end 10.97.0.0',
      'service-cidrs begin 255.0.0.0',
    ])
    const six: HostState = {
      ...host,
      family: 'IPv6',
      nodePortAddresses: { kind: 'all' },
      serviceCidrs: [cidr('fd00:ffff::/32')],
    }
    expect(texts(six)).toEqual(['service-cidrs begin fd00:ffff::', 'service-cidrs end fd01::'])
  })
})

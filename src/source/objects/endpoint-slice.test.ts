import { describe, expect, it } from 'vitest'
import { parseEndpointSlice } from './endpoint-slice.ts'

const slice = (parts: Record<string, unknown> = {}, metadata: Record<string, unknown> = {}): unknown => ({
  apiVersion: 'discovery.k8s.io/v1',
  kind: 'EndpointSlice',
  metadata: { name: 'web-1', namespace: 'shop', labels: { 'kubernetes.io/service-name': 'web' }, ...metadata },
  addressType: 'IPv4',
  ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
  endpoints: [{ addresses: ['10.0.0.1'] }],
  ...parts,
})

const parse = (parts?: Record<string, unknown>, metadata?: Record<string, unknown>) => {
  const { value, problems } = parseEndpointSlice(slice(parts, metadata))
  return { value, faults: problems.map(({ field, reason }) => `${field}: ${reason}`) }
}

const plain = {
  ip: '10.0.0.1',
  ready: true,
  serving: true,
  terminating: false,
  nodeName: undefined,
  zone: undefined,
  podName: undefined,
  zoneHints: undefined,
  nodeHints: undefined,
}

describe('an EndpointSlice', () => {
  it('is read with every default', () => {
    expect(parseEndpointSlice(slice())).toEqual({
      value: {
        key: 'shop/web-1',
        service: 'shop/web',
        family: 'IPv4',
        ports: [{ name: 'http', protocol: 'TCP', port: 8080 }],
        endpoints: [plain],
        triggeredAt: undefined,
      },
      problems: [],
    })
  })

  it.each<[string, Record<string, unknown>]>([
    ['of no Service', { labels: {} }],
    ['without labels', { labels: undefined }],
    ['of an empty name', { labels: { 'kubernetes.io/service-name': '' } }],
    [
      'of a headless Service',
      { labels: { 'kubernetes.io/service-name': 'web', 'service.kubernetes.io/headless': '' } },
    ],
  ])('%s is passed over in silence', (_what, metadata) => {
    expect(parseEndpointSlice(slice({}, metadata))).toEqual({ value: undefined, problems: [] })
  })

  it.each<[unknown, string]>([
    ['FQDN', 'addressType: "FQDN" is neither IPv4 nor IPv6, so the EndpointSlice is skipped'],
    ['ipv4', 'addressType: "ipv4" is neither IPv4 nor IPv6, so the EndpointSlice is skipped'],
    [undefined, 'addressType: is missing, so the EndpointSlice is skipped'],
  ])('of address type %s is skipped', (addressType, fault) => {
    expect(parse({ addressType })).toEqual({ value: undefined, faults: [fault] })
  })

  it.each<[string, unknown, readonly string[], readonly string[]]>([
    ['none', undefined, [], []],
    ['null', null, [], []],
    ['without a name', [{ name: '', port: 1 }], ['/TCP 1'], []],
    [
      'nil name',
      [{ port: 1 }, { name: 'b', port: 2 }],
      ['b/TCP 2'],
      ['ports[0].name: is missing ("" would be the port without a name), so the port is skipped'],
    ],
    ['nil port', [{ name: 'a' }], [], ['ports[0].port: is missing, so the port is skipped']],
    ['port 0', [{ name: 'a', port: 0 }], [], ['ports[0].port: 0 is not a port (1 to 65535), so the port is skipped']],
    [
      'port 70000',
      [{ name: 'a', port: 70000 }],
      [],
      ['ports[0].port: 70000 is not a port (1 to 65535), so the port is skipped'],
    ],
    [
      'unknown protocol',
      [{ name: 'a', port: 1, protocol: 'ICMP' }],
      [],
      ['ports[0].protocol: "ICMP" is not one of TCP, UDP, SCTP, so the port is skipped'],
    ],
    ['not an object', [null], [], ['ports[0]: null is not an object, so the port is skipped']],
  ])('ports: %s', (_what, ports, expected, faults) => {
    const parsed = parse({ ports })
    expect(parsed.value?.ports.map(({ name, protocol, port }) => `${name}/${protocol} ${port}`)).toEqual(expected)
    expect(parsed.faults).toEqual(faults)
  })

  it('in a manifest may leave the name of its port out', () => {
    const { value, problems } = parseEndpointSlice(slice({ ports: [{ port: 1 }] }), { namelessPorts: 'accept' })
    expect([value?.ports, problems]).toEqual([[{ name: '', protocol: 'TCP', port: 1 }], []])
  })

  it.each<[string, unknown, Record<string, unknown>, readonly string[]]>([
    ['nothing said', {}, {}, []],
    ['null', { ready: null, serving: null, terminating: null }, {}, []],
    ['ready does not imply serving', { ready: false }, { ready: false }, []],
    ['draining', { ready: false, serving: true, terminating: true }, { ready: false, terminating: true }, []],
    [
      'no boolean',
      { ready: 'yes' },
      {},
      ['endpoints[0].conditions.ready: "yes" is neither true nor false, so true is used'],
    ],
    ['no map', 'ready', {}, ['endpoints[0].conditions: "ready" is not a map, so it counts as empty']],
  ])('conditions: %s', (_what, conditions, expected, faults) => {
    const parsed = parse({ endpoints: [{ addresses: ['10.0.0.1'], conditions }] })
    expect(parsed.value?.endpoints).toEqual([{ ...plain, ...expected }])
    expect(parsed.faults).toEqual(faults)
  })

  it('endpoints: takes node, zone, pod and hints', () => {
    const { value, faults } = parse({
      endpoints: [
        {
          addresses: ['10.0.0.1'],
          nodeName: 'n1',
          zone: 'a',
          targetRef: { kind: 'Pod', name: 'web-0' },
          hints: { forZones: [{ name: 'a' }, { name: 'b' }], forNodes: [{ name: 'n1' }] },
        },
        { addresses: ['10.0.0.2'], targetRef: { kind: 'VM', name: 'x' }, hints: { forZones: [], forNodes: null } },
        { addresses: ['10.0.0.3'], hints: { forZones: [{ name: 5 }, { name: 'a' }] } },
      ],
    })
    expect(value?.endpoints).toEqual([
      { ...plain, nodeName: 'n1', zone: 'a', podName: 'web-0', zoneHints: ['a', 'b'], nodeHints: ['n1'] },
      { ...plain, ip: '10.0.0.2' },
      { ...plain, ip: '10.0.0.3', zoneHints: ['a'] },
    ])
    expect(faults).toEqual(['endpoints[2].hints.forZones[0].name: 5 is not a name, so the hint is left out'])
  })

  it.each<[string, unknown, string]>([
    ['no address', { addresses: [] }, 'endpoints[0].addresses: has no address, so the endpoint is skipped'],
    ['no addresses', {}, 'endpoints[0].addresses: has no address, so the endpoint is skipped'],
    [
      'a bad address',
      { addresses: ['10.0.0.256'] },
      'endpoints[0].addresses[0]: "10.0.0.256" is not an IP address, so it is left out',
    ],
    [
      'the wrong family',
      { addresses: ['fd00::1'] },
      'endpoints[0].addresses[0]: "fd00::1" is not an IPv4 address, so it is left out',
    ],
    ['no object', 'x', 'endpoints[0]: "x" is not an object, so the endpoint is skipped'],
  ])('endpoints: %s costs only that endpoint', (_what, endpoint, fault) => {
    const parsed = parse({ endpoints: [endpoint, { addresses: ['10.0.0.1', 'not looked at'] }] })
    expect(parsed.value?.endpoints).toEqual([plain])
    expect(parsed.faults).toEqual([fault])
  })

  it.each([2, 40])('keeps endpoints that differ, and one of those that do not (%i others)', (others) => {
    const same = { addresses: ['10.0.0.1'], nodeName: 'n1' }
    const endpoints = [
      same,
      ...Array.from({ length: others }, (_, i) => ({ addresses: [`10.0.1.${i}`] })),
      { ...same, conditions: { ready: false, terminating: true } },
      same,
      { addresses: ['010.0.0.1'], nodeName: 'n1', conditions: { ready: true } },
    ]
    const { value, faults } = parse({ endpoints })
    expect(value?.endpoints).toHaveLength(others + 2)
    expect(faults).toEqual([
      `endpoints[${others + 2}]: repeats an earlier endpoint with 10.0.0.1, as do 1 more, so it is left out`,
    ])
  })

  it('may hold more endpoints than the API allows', () => {
    const endpoints = Array.from({ length: 5000 }, (_, i) => ({ addresses: [`10.${i >> 8}.${i & 255}.1`] }))
    const { value, faults } = parse({ endpoints })
    expect([value?.endpoints.length, faults]).toEqual([5000, []])
  })

  it('shares strings and lists that repeat', () => {
    const endpoint = (i: number) => ({ addresses: [`10.0.0.${i}`], hints: { forZones: [{ name: 'a' }] } })
    const { value } = parse({ endpoints: [endpoint(1), endpoint(2)] })
    expect(value?.endpoints[0]?.zoneHints).toBe(value?.endpoints[1]?.zoneHints)
  })

  it.each<[string, number | undefined, number]>([
    ['2026-01-02T03:04:05Z', Date.UTC(2026, 0, 2, 3, 4, 5), 0],
    ['2026-01-02T03:04:05.123456789Z', Date.UTC(2026, 0, 2, 3, 4, 5, 123), 0],
    ['2026-01-02T05:04:05.9+02:00', Date.UTC(2026, 0, 2, 3, 4, 5, 900), 0],
    ['2026-01-02', undefined, 1],
    ['2026-13-02T03:04:05Z', undefined, 1],
  ])('trigger time %s', (text, time, faults) => {
    const annotations = { 'endpoints.kubernetes.io/last-change-trigger-time': text }
    const parsed = parse({}, { labels: { 'kubernetes.io/service-name': 'web' }, annotations })
    expect(parsed.value?.triggeredAt).toBe(time)
    expect(parsed.faults).toHaveLength(faults)
  })

  it('without a name is a problem', () => {
    expect(parse({}, { name: undefined })).toEqual({
      value: undefined,
      faults: ['metadata.name: is missing, so the EndpointSlice is skipped'],
    })
  })
})

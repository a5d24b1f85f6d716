import { describe, expect, it } from 'vitest'
import { defaultConnections } from '../../model/connections.ts'
import { nothingRequested } from '../../model/scheduling.ts'
import { parseService } from './service.ts'

const options = { proxyName: undefined, allowExternalIPs: true }

interface Parts {
  readonly metadata?: Record<string, unknown>
  readonly spec?: Record<string, unknown>
  readonly status?: unknown
}

const service = ({ metadata, spec, status }: Parts = {}): unknown => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'web', namespace: 'shop', uid: 'u1', creationTimestamp: '2026-01-02T03:04:05Z', ...metadata },
  spec: {
    type: 'ClusterIP',
    clusterIP: '10.96.0.10',
    clusterIPs: ['10.96.0.10'],
    ipFamilies: ['IPv4'],
    ports: [{ name: 'http', port: 80, protocol: 'TCP', targetPort: 8080 }],
    ...spec,
  },
  status,
})

const parse = (parts?: Parts) => {
  const { value, problems } = parseService(service(parts), options)
  return { value, faults: problems.map(({ field, reason }) => `${field}: ${reason}`) }
}

describe('a Service', () => {
  it('is read with every default', () => {
    expect(parseService(service(), options)).toEqual({
      value: {
        key: 'shop/web',
        namespace: 'shop',
        name: 'web',
        uid: 'u1',
        created: Date.UTC(2026, 0, 2, 3, 4, 5),
        clusterIPs: ['10.96.0.10'],
        externalIPs: [],
        loadBalancerIPs: [],
        sourceRanges: [],
        ports: [{ name: 'http', protocol: 'TCP', port: 80, nodePort: undefined }],
        internalPolicy: 'Cluster',
        externalPolicy: 'Cluster',
        affinitySeconds: undefined,
        healthCheckNodePort: undefined,
        scheduling: nothingRequested,
        connections: defaultConnections,
      },
      problems: [],
    })
  })

  it('lives in the namespace default when it names none', () => {
    expect(parse({ metadata: { namespace: undefined } }).value?.key).toBe('default/web')
    expect(parse({ metadata: { namespace: null } }).value?.key).toBe('default/web')
  })

  it.each<[string, Parts]>([
    ['headless', { spec: { clusterIP: 'None', clusterIPs: ['None'] } }],
    ['headless by its list alone', { spec: { clusterIP: undefined, clusterIPs: ['None'] } }],
    ['with an empty cluster IP', { spec: { clusterIP: '', clusterIPs: [''] } }],
    [
      'an ExternalName',
      {
        spec: {
          type: 'ExternalName',
          externalName: 'example.org',
          clusterIP: undefined,
          clusterIPs: undefined,
          ports: undefined,
        },
      },
    ],
    ["another proxy's", { metadata: { labels: { 'service.kubernetes.io/service-proxy-name': 'other' } } }],
    ["another proxy's, by an empty name", { metadata: { labels: { 'service.kubernetes.io/service-proxy-name': '' } } }],
  ])('%s is passed over in silence', (_what, parts) => {
    expect(parseService(service(parts), options)).toEqual({ value: undefined, problems: [] })
  })

  it('belongs to a named proxy only with its label', () => {
    const named = { ...options, proxyName: 'weir' }
    const labels = { 'service.kubernetes.io/service-proxy-name': 'weir' }
    expect(parseService(service({ metadata: { labels } }), named).value?.key).toBe('shop/web')
    expect(parseService(service(), named)).toEqual({ value: undefined, problems: [] })
  })

  it.each<[string, Record<string, unknown>, readonly string[], readonly string[]]>([
    [
      'pairs clusterIPs with ipFamilies',
      { clusterIPs: ['fd00::1', '10.0.0.1'], ipFamilies: ['IPv6', 'IPv4'] },
      ['fd00::1', '10.0.0.1'],
      [],
    ],
    ['falls back to clusterIP', { clusterIPs: undefined, ipFamilies: undefined }, ['10.96.0.10'], []],
    ['takes clusterIP for a manifest that lists none', { clusterIPs: undefined }, ['10.96.0.10'], []],
    [
      'takes clusterIPs for a manifest with nothing else',
      { clusterIP: undefined, clusterIPs: ['10.0.0.1', 'fd00::1'], ipFamilies: undefined },
      ['10.0.0.1', 'fd00::1'],
      [],
    ],
    [
      'reads leading zeros as decimal',
      { clusterIP: '010.096.000.010', clusterIPs: ['010.096.000.010'] },
      ['10.96.0.10'],
      [],
    ],
    ['normalises IPv6', { clusterIPs: ['FD00:0::0A'], ipFamilies: ['IPv6'] }, ['fd00::a'], []],
    [
      'ignores the list without ipFamilies',
      { clusterIPs: ['10.96.0.10', 'fd00::1'], ipFamilies: undefined },
      ['10.96.0.10'],
      ['spec.clusterIPs[1]: "fd00::1" has no entry in spec.ipFamilies, so it is left out'],
    ],
    [
      'leaves out what ipFamilies contradicts',
      { clusterIPs: ['10.96.0.10'], ipFamilies: ['IPv6'] },
      [],
      ['spec.clusterIPs[0]: "10.96.0.10" is not of the family "IPv6" in spec.ipFamilies, so it is left out'],
    ],
    [
      'keeps one of each family',
      { clusterIPs: ['10.0.0.1', '10.0.0.2'], ipFamilies: ['IPv4', 'IPv4'] },
      ['10.0.0.1'],
      ['spec.clusterIPs[1]: "10.0.0.2" is a second IPv4 address, so it is left out'],
    ],
    [
      'leaves out what is no address',
      { clusterIP: '10.96.0', clusterIPs: ['10.96.0'] },
      [],
      ['spec.clusterIPs[0]: "10.96.0" is not an IP address, so it is left out'],
    ],
    [
      'misses an address that nobody allocated',
      { clusterIP: undefined, clusterIPs: undefined, ipFamilies: undefined },
      [],
      ['spec.clusterIP: is missing (an API server would choose one), so the Service has no cluster IP'],
    ],
  ])('cluster IPs: %s', (_what, spec, clusterIPs, faults) => {
    const parsed = parse({ spec: { ...spec, type: 'NodePort', ports: [{ port: 80, nodePort: 30080 }] } })
    expect(parsed.value?.clusterIPs).toEqual(clusterIPs)
    expect(parsed.faults).toEqual(faults)
    expect(parsed.value?.ports[0]?.nodePort).toBe(30080)
  })

  it.each<[string, unknown, readonly string[], readonly string[]]>([
    ['TCP is the default', [{ port: 80 }], ['/TCP 80'], []],
    ['null is no value', [{ name: null, port: 80, protocol: null, nodePort: null }], ['/TCP 80'], []],
    ['nodePort 0 is none', [{ port: 80, nodePort: 0 }], ['/TCP 80'], []],
    [
      'one port may serve two protocols',
      [
        { name: 'dns', port: 53, protocol: 'UDP' },
        { name: 'dns', port: 53, protocol: 'TCP' },
        { name: 'x', port: 53, protocol: 'SCTP' },
      ],
      ['dns/UDP 53', 'dns/TCP 53', 'x/SCTP 53'],
      [],
    ],
    [
      'port 0',
      [
        { name: 'a', port: 80 },
        { name: 'b', port: 0 },
      ],
      ['a/TCP 80'],
      ['spec.ports[1].port: 0 is not a port (1 to 65535), so the port is skipped'],
    ],
    [
      'port 70000',
      [
        { name: 'a', port: 80 },
        { name: 'b', port: 70000 },
      ],
      ['a/TCP 80'],
      ['spec.ports[1].port: 70000 is not a port (1 to 65535), so the port is skipped'],
    ],
    [
      'a port as text',
      [{ port: '80' }],
      [],
      ['spec.ports[0].port: "80" is not a port (1 to 65535), so the port is skipped'],
    ],
    [
      'no port',
      [{ name: 'a' }],
      [],
      ['spec.ports[0].port: nothing is not a port (1 to 65535), so the port is skipped'],
    ],
    [
      'an unknown protocol',
      [{ port: 80, protocol: 'tcp' }],
      [],
      ['spec.ports[0].protocol: "tcp" is not one of TCP, UDP, SCTP, so the port is skipped'],
    ],
    [
      'a name that could break a rule',
      [{ name: 'a" drop', port: 80 }],
      [],
      ['spec.ports[0].name: "a\\" drop" is not a DNS name, so the port is skipped'],
    ],
    [
      'a bad node port costs only itself',
      [{ port: 80, nodePort: -1 }],
      ['/TCP 80'],
      ['spec.ports[0].nodePort: -1 is not a port (1 to 65535), so the port has no node port'],
    ],
    [
      'the same number twice',
      [
        { name: 'a', port: 80 },
        { name: 'b', port: 80 },
      ],
      ['a/TCP 80'],
      ['spec.ports[1].port: TCP 80 is already taken by an earlier port, so this one is skipped'],
    ],
    [
      'the same name twice',
      [
        { name: 'a', port: 80 },
        { name: 'a', port: 81 },
      ],
      ['a/TCP 80'],
      ['spec.ports[1].name: "a" already names an earlier TCP port, so this one is skipped'],
    ],
    [
      'the same node port twice',
      [
        { name: 'a', port: 80, nodePort: 30000 },
        { name: 'b', port: 81, nodePort: 30000 },
      ],
      ['a/TCP 80 30000', 'b/TCP 81'],
      ['spec.ports[1].nodePort: TCP 30000 is already taken by an earlier port, so this one has no node port'],
    ],
    ['not an object', [7, { port: 80 }], ['/TCP 80'], ['spec.ports[0]: is not an object, so the port is skipped']],
    ['not a list', 'http', [], ['spec.ports: "http" is not a list, so it counts as empty']],
    ['none', [], [], ['spec.ports: is empty, so the Service takes no traffic']],
  ])('ports: %s', (_what, ports, expected, faults) => {
    const parsed = parse({ spec: { ports } })
    const found = parsed.value?.ports.map(
      ({ name, protocol, port, nodePort }) =>
        `${name}/${protocol} ${port}${nodePort === undefined ? '' : ` ${nodePort}`}`,
    )
    expect(found).toEqual(expected)
    expect(parsed.faults).toEqual(faults)
  })

  it.each<[string, Record<string, unknown>, string, string]>([
    ['LoadBalancer', { type: 'LoadBalancer', externalTrafficPolicy: 'Local' }, 'Cluster', 'Local'],
    ['NodePort', { type: 'NodePort', externalTrafficPolicy: 'Local' }, 'Cluster', 'Local'],
    ['ClusterIP', { externalTrafficPolicy: 'Local' }, 'Cluster', 'Cluster'],
    ['ClusterIP with external IPs', { externalTrafficPolicy: 'Local', externalIPs: ['192.0.2.1'] }, 'Cluster', 'Local'],
    ['internal', { internalTrafficPolicy: 'Local' }, 'Local', 'Cluster'],
  ])('traffic policies: %s', (_what, spec, internal, external) => {
    const { value, faults } = parse({ spec })
    expect([value?.internalPolicy, value?.externalPolicy]).toEqual([internal, external])
    expect(faults).toEqual([])
  })

  it('reports policies and types that it does not know', () => {
    const { value, faults } = parse({
      spec: { type: 'Magic', internalTrafficPolicy: 'local', externalTrafficPolicy: 1 },
    })
    expect([value?.internalPolicy, value?.externalPolicy]).toEqual(['Cluster', 'Cluster'])
    expect(faults).toEqual([
      'spec.type: "Magic" is not one of ClusterIP, NodePort, LoadBalancer, ExternalName, so ClusterIP is used',
      'spec.externalTrafficPolicy: 1 is not one of Cluster, Local, so Cluster is used',
      'spec.internalTrafficPolicy: "local" is not one of Cluster, Local, so Cluster is used',
    ])
  })

  it.each<[string, Record<string, unknown>, number | undefined, readonly string[]]>([
    ['none', { sessionAffinity: 'None' }, undefined, []],
    [
      'with a time',
      { sessionAffinity: 'ClientIP', sessionAffinityConfig: { clientIP: { timeoutSeconds: 60 } } },
      60,
      [],
    ],
    ['without a config', { sessionAffinity: 'ClientIP' }, 10800, []],
    ['without a clientIP', { sessionAffinity: 'ClientIP', sessionAffinityConfig: { clientIP: null } }, 10800, []],
    [
      'out of range',
      { sessionAffinity: 'ClientIP', sessionAffinityConfig: { clientIP: { timeoutSeconds: 86401 } } },
      10800,
      [
        'spec.sessionAffinityConfig.clientIP.timeoutSeconds: 86401 is not a number of seconds from 1 to 86400, so 10800 is used',
      ],
    ],
    [
      'unknown',
      { sessionAffinity: 'Cookie' },
      undefined,
      ['spec.sessionAffinity: "Cookie" is not one of None, ClientIP, so None is used'],
    ],
  ])('affinity: %s', (_what, spec, seconds, faults) => {
    const parsed = parse({ spec })
    expect(parsed.value?.affinitySeconds).toBe(seconds)
    expect(parsed.faults).toEqual(faults)
  })

  it('takes the external IPs that are addresses, each once', () => {
    const { value, faults } = parse({
      spec: { externalIPs: ['192.0.2.1', ' ', '', 'nowhere', 'fd00::2', '192.0.2.1', 5] },
    })
    expect(value?.externalIPs).toEqual(['192.0.2.1', 'fd00::2'])
    expect(faults).toEqual([
      'spec.externalIPs[3]: "nowhere" is not an IP address, so it is left out',
      'spec.externalIPs[6]: 5 is not an IP address, so it is left out',
    ])
  })

  it('takes no external IPs where the cluster forbids them, and yet lets them decide about the policy', () => {
    const json = service({ spec: { externalIPs: ['192.0.2.1'], externalTrafficPolicy: 'Local' } })
    const { value } = parseService(json, { ...options, allowExternalIPs: false })
    expect([value?.externalIPs, value?.externalPolicy]).toEqual([[], 'Local'])
  })

  it('takes load-balancer addresses by their mode', () => {
    const ingress = [
      { ip: '203.0.113.1' },
      { ip: '203.0.113.2', ipMode: 'VIP' },
      { ip: '203.0.113.3', ipMode: 'Proxy' },
      { ip: '203.0.113.4', ipMode: 'Tunnel' },
      { hostname: 'lb.example.org' },
      { ip: '203.0.113' },
      'x',
    ]
    const { value, faults } = parse({ spec: { type: 'LoadBalancer' }, status: { loadBalancer: { ingress } } })
    expect(value?.loadBalancerIPs).toEqual(['203.0.113.1', '203.0.113.2'])
    expect(faults).toEqual([
      'status.loadBalancer.ingress[3].ipMode: "Tunnel" is neither VIP nor Proxy, so the address is left out',
      'status.loadBalancer.ingress[5].ip: "203.0.113" is not an IP address, so it is left out',
      'status.loadBalancer.ingress[6]: "x" is not an object, so it is left out',
    ])
  })

  it.each<[string, unknown, readonly string[], number]>([
    ['none', undefined, [], 0],
    [
      'trimmed, both families, /0',
      [' 10.1.2.3/8 ', '0.0.0.0/0', 'fd00::/8'],
      ['10.0.0.0/8', '0.0.0.0/0', 'fd00::/8'],
      0,
    ],
    ['a bad one costs only itself', ['10.0.0.0/8', '10.0.0.1', '10.0.0.0/33'], ['10.0.0.0/8'], 2],
    ['nothing but bad ones lets nobody in', ['everyone'], ['0.0.0.0/32', '::/128'], 1],
    ['blank ones ask for nothing', [''], [], 0],
    ['not a list', '10.0.0.0/8', ['0.0.0.0/32', '::/128'], 1],
  ])('source ranges: %s', (_what, loadBalancerSourceRanges, ranges, faults) => {
    const parsed = parse({ spec: { loadBalancerSourceRanges } })
    expect(parsed.value?.sourceRanges).toEqual(ranges)
    expect(parsed.faults).toHaveLength(faults)
  })

  it.each<[string, Record<string, unknown>, number | undefined, number]>([
    [
      'LoadBalancer, Local',
      { type: 'LoadBalancer', externalTrafficPolicy: 'Local', healthCheckNodePort: 32000 },
      32000,
      0,
    ],
    ['LoadBalancer, Cluster', { type: 'LoadBalancer', healthCheckNodePort: 32000 }, undefined, 0],
    ['NodePort, Local', { type: 'NodePort', externalTrafficPolicy: 'Local', healthCheckNodePort: 32000 }, undefined, 0],
    ['not set', { type: 'LoadBalancer', externalTrafficPolicy: 'Local', healthCheckNodePort: 0 }, undefined, 0],
    ['no port', { type: 'LoadBalancer', externalTrafficPolicy: 'Local', healthCheckNodePort: 99999 }, undefined, 1],
  ])('health port: %s', (_what, spec, port, faults) => {
    const parsed = parse({ spec })
    expect(parsed.value?.healthCheckNodePort).toBe(port)
    expect(parsed.faults).toHaveLength(faults)
  })

  it.each<[string, unknown, string, string]>([
    [
      'no name',
      { metadata: { namespace: 'shop', uid: 'u1' } },
      'Service shop/u1',
      'metadata.name: is missing, so the Service is skipped',
    ],
    [
      'a generated name',
      { metadata: { generateName: 'web-' } },
      'Service default/web-*',
      'metadata.name: is missing, so the Service is skipped',
    ],
    [
      'a name that no object has',
      { metadata: { name: 'a b' } },
      'Service default/a b',
      'metadata.name: "a b" is not a DNS name, so the Service is skipped',
    ],
    ['no metadata', { spec: {} }, 'Service default/(unnamed)', 'metadata: is missing, so the Service is skipped'],
    ['no object', 'x', 'Service default/(unnamed)', 'metadata: "x" is not an object, so the Service is skipped'],
    [
      'no spec',
      { metadata: { name: 'web' } },
      'Service default/web',
      'spec: is missing or not an object, so the Service is skipped',
    ],
  ])('%s: has no value, and the problem says which object', (_what, json, object, fault) => {
    const { value, problems } = parseService(json, options)
    expect(value).toBeUndefined()
    expect(problems.map((p) => `${p.object.kind} ${p.object.namespace}/${p.object.name}`)).toEqual([object])
    expect(problems.map(({ field, reason }) => `${field}: ${reason}`)).toEqual([fault])
  })

  it('survives metadata that is not what it should be', () => {
    const { value, faults } = parse({
      metadata: { uid: 7, creationTimestamp: 'yesterday', labels: 'x', annotations: [] },
    })
    expect([value?.uid, value?.created]).toEqual(['', 0])
    expect(faults).toEqual([
      'metadata.labels: "x" is not a map, so it counts as empty',
      'metadata.annotations: a list is not a map, so it counts as empty',
      'metadata.uid: 7 is not text, so it counts as not set',
      'metadata.creationTimestamp: "yesterday" is not an RFC 3339 time, so it counts as not set',
    ])
  })
})

/** What counts as an endpoint, and which ones get traffic: S3, S4 and S5. */
import { direct, dropped, type FlowCase, type FlowTable, type Rule, refused, to } from './flow.ts'
import { ipv4, ipv6, nets, nodeName, otherNode, otherZone, type PodName, zone } from './net.ts'
import {
  clusterFront,
  type EndpointOptions,
  endpoint,
  exposed,
  externalFronts,
  leaving,
  type Manifest,
  node,
  ready,
  service,
  slice,
  stopping,
  unready,
} from './objects.ts'

export const endpoints: FlowTable = (net, protocol) => {
  const cluster = clusterFront(net)
  const [onNode] = externalFronts(net)
  if (onNode === undefined) throw new TypeError('a front is missing')
  const other = net === ipv4 ? ipv6 : ipv4
  const web = service(net, protocol)
  const local = exposed(net, protocol, { spec: { externalTrafficPolicy: 'Local' } })
  const of = (pods: Partial<Record<PodName, EndpointOptions>>): Manifest =>
    slice(
      net,
      protocol,
      Object.entries(pods).map(([pod, options]) => endpoint(net, pod as PodName, options)),
    )
  /** The ClusterIP asked by a pod is answered by `by`, which is never that pod itself. */
  const served = (
    name: string,
    rules: readonly Rule[],
    objects: readonly Manifest[],
    by: readonly PodName[],
  ): FlowCase => ({
    name,
    rules,
    objects: [web, ...objects],
    packets: [to(cluster, 'remote-2', by.length === 0 ? refused : direct(...by))],
  })
  return [
    served(
      'slices are merged',
      ['S3.1'],
      [
        slice(net, protocol, [endpoint(net, 'pod-1')]),
        slice(net, protocol, [endpoint(net, 'pod-2')], { name: 'web-2' }),
        slice(other, protocol, [endpoint(other, 'remote-1')], { name: 'web-3' }),
      ],
      ['pod-1', 'pod-2'],
    ),
    served(
      'a port without a number is no port',
      ['S3.1'],
      [slice(net, protocol, [endpoint(net, 'pod-1')], { ports: [{ name: '', protocol }] })],
      [],
    ),
    served(
      'the first address counts',
      ['S3.2'],
      [slice(net, protocol, [{ ...endpoint(net, 'pod-1'), addresses: [net.at['pod-1'], net.at['pod-2']] }])],
      ['pod-1'],
    ),
    served(
      'an address of the other family is skipped',
      ['S3.2'],
      [slice(net, protocol, [endpoint(other, 'pod-1'), endpoint(net, 'pod-2')])],
      ['pod-2'],
    ),
    served(
      'conditions that are absent mean ready',
      ['S3.3'],
      [slice(net, protocol, [{ addresses: [net.at['pod-1']] }, endpoint(net, 'pod-2', { ready: true })])],
      ['pod-1', 'pod-2'],
    ),
    served(
      'a pod address in use again is ready',
      ['S3.4'],
      [of({ 'pod-1': leaving, 'pod-2': {} }), slice(net, protocol, [endpoint(net, 'pod-1')], { name: 'web-0' })],
      ['pod-1', 'pod-2'],
    ),
    served(
      'a ready endpoint is preferred to one that terminates',
      ['S4.2'],
      [of({ 'pod-1': {}, 'pod-2': leaving })],
      ['pod-1'],
    ),
    served(
      'ready but terminating is ready',
      ['S4.2'],
      [of({ 'pod-1': {}, 'pod-2': { ready: true, serving: true, terminating: true } })],
      ['pod-1', 'pod-2'],
    ),
    served(
      'without ready endpoints those serve that terminate',
      ['S4.3'],
      [of({ 'pod-1': leaving, 'pod-2': unready, 'remote-1': leaving })],
      ['pod-1', 'remote-1'],
    ),
    served(
      'serving but neither ready nor terminating is not usable',
      ['S4.3', 'S4.5'],
      [of({ 'pod-1': { ready: false, serving: true, terminating: false }, 'pod-2': stopping })],
      [],
    ),
    {
      name: 'the two lists fall back independently',
      rules: ['S4.4', 'S12.2'],
      objects: [local, of({ 'pod-1': leaving, 'remote-1': {} })],
      packets: [to(onNode, 'client', direct('pod-1')), to(cluster, 'pod-2', direct('remote-1'))],
    },
    {
      name: 'the Local list prefers what is ready here',
      rules: ['S4.4'],
      objects: [local, of({ 'pod-1': leaving, 'pod-2': {}, 'remote-1': {} })],
      packets: [to(onNode, 'client', direct('pod-2')), to(cluster, 'remote-2', direct('pod-2', 'remote-1'))],
    },
    {
      name: 'what is not ready here does not help the Local list',
      rules: ['S4.4', 'S6.6'],
      objects: [local, of({ 'pod-1': unready, 'pod-2': stopping, 'remote-1': {} })],
      packets: [to(onNode, 'client', dropped), to(onNode, 'pod-2', direct('remote-1'))],
    },
  ]
}

export const topology: FlowTable = (net, protocol) => {
  const cluster = clusterFront(net)
  const [onNode] = externalFronts(net)
  if (onNode === undefined) throw new TypeError('a front is missing')
  const web = service(net, protocol)
  const inZone = { zones: [zone] }
  const outside = { zones: [otherZone] }
  const served = (
    name: string,
    rules: readonly Rule[],
    pods: Partial<Record<PodName, EndpointOptions>>,
    by: readonly PodName[],
    extra: readonly Manifest[] = [],
  ): FlowCase => ({
    name,
    rules,
    objects: [
      web,
      slice(
        net,
        protocol,
        Object.entries(pods).map(([pod, options]) => endpoint(net, pod as PodName, options)),
      ),
      ...extra,
    ],
    packets: [to(cluster, 'remote-2', by.length === 0 ? refused : direct(...by))],
  })
  return [
    served('zone hints keep traffic in our zone', ['S5.1'], { 'pod-1': inZone, 'remote-1': outside }, ['pod-1']),
    served(
      'an endpoint may be hinted for several zones',
      ['S5.1'],
      {
        'pod-1': outside,
        'remote-1': { zones: [otherZone, zone] },
      },
      ['remote-1'],
    ),
    served(
      'node hints come before zone hints',
      ['S5.1'],
      {
        'pod-1': { ...inZone, nodes: [otherNode] },
        'remote-1': { ...outside, nodes: [nodeName] },
      },
      ['remote-1'],
    ),
    served(
      'node hints that name nobody here leave it to the zones',
      ['S5.1', 'S5.2'],
      {
        'pod-1': { ...inZone, nodes: [otherNode] },
        'remote-1': { ...outside, nodes: [otherNode] },
      },
      ['pod-1'],
    ),
    served(
      'one endpoint without node hints switches node hints off',
      ['S5.2'],
      {
        'pod-1': { ...inZone },
        'remote-1': { ...outside, nodes: [nodeName] },
      },
      ['pod-1'],
    ),
    served(
      'one endpoint without a zone hint switches zone hints off',
      ['S5.2'],
      {
        'pod-1': inZone,
        'remote-1': {},
        'pod-2': outside,
      },
      ['pod-1', 'pod-2', 'remote-1'],
    ),
    served('an empty list is no hint', ['S5.2'], { 'pod-1': inZone, 'remote-1': { zones: [] } }, ['pod-1', 'remote-1']),
    served('hints for other zones alone are not followed', ['S5.2'], { 'pod-1': outside, 'remote-1': outside }, [
      'pod-1',
      'remote-1',
    ]),
    served(
      'what is not ready has no say',
      ['S5.3'],
      {
        'pod-1': inZone,
        'remote-1': outside,
        'pod-2': unready,
      },
      ['pod-1'],
    ),
    served(
      'a hint of ours on an endpoint that is not ready does not count',
      ['S5.3'],
      {
        'pod-1': outside,
        'remote-1': outside,
        'pod-2': { ...inZone, ...unready },
      },
      ['pod-1', 'remote-1'],
    ),
    served(
      'without ready endpoints hints are not looked at',
      ['S5.4', 'S4.3'],
      {
        'pod-1': { ...inZone, ...leaving },
        'remote-1': { ...outside, ...leaving },
      },
      ['pod-1', 'remote-1'],
    ),
    served(
      'a node in no zone follows no zone hint',
      ['S5.5'],
      { 'pod-1': inZone, 'remote-1': outside },
      ['pod-1', 'remote-1'],
      [node(nets, { zone: undefined })],
    ),
    served(
      'a node in another zone',
      ['S5.1', 'S5.5'],
      { 'pod-1': inZone, 'remote-1': outside },
      ['remote-1'],
      [node(nets, { zone: otherZone })],
    ),
    {
      name: 'the Local list knows no topology',
      rules: ['S5.6'],
      objects: [
        exposed(net, protocol, { spec: { externalTrafficPolicy: 'Local' } }),
        slice(net, protocol, [endpoint(net, 'pod-1', outside), endpoint(net, 'remote-1', inZone)]),
      ],
      packets: [to(onNode, 'client', direct('pod-1')), to(cluster, 'pod-2', direct('remote-1'))],
    },
    {
      name: 'trafficDistribution is not read, hints are',
      rules: ['S5.6'],
      objects: [
        service(net, protocol, { spec: { trafficDistribution: 'PreferSameNode' } }),
        ready(net, protocol, 'pod-1', 'remote-1'),
      ],
      packets: [to(cluster, 'pod-2', direct('pod-1', 'remote-1'))],
    },
  ]
}

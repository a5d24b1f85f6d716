/** What annotations about scheduling do to who is served at all: S8.2 to S8.4. Shares are another matter. */
import { direct, dropped, type FlowCase, type FlowTable, masqueraded, type Rule, refused, to } from './flow.ts'
import { nodeName, otherNode, otherZone, type PodName, zone } from './net.ts'
import { clusterFront, endpoint, exposed, externalFronts, leaving, ready, service, slice } from './objects.ts'

const pods = ['pod-1', 'pod-2', 'remote-1'] as const

export const weights: FlowTable = (net, protocol, traits) => {
  const cluster = clusterFront(net)
  const [onNode] = externalFronts(net)
  if (onNode === undefined) throw new TypeError('a front is missing')
  const weighted = (
    name: string,
    rules: readonly Rule[],
    list: Readonly<Record<string, number>>,
    by: readonly PodName[],
    annotations: Readonly<Record<string, string>> = {},
  ): FlowCase => ({
    name,
    rules,
    objects: [
      service(net, protocol, { annotations: { 'weir.dev/weights': JSON.stringify(list), ...annotations } }),
      ready(net, protocol, ...pods),
    ],
    packets: [to(cluster, 'remote-2', by.length === 0 ? refused : direct(...by))],
  })
  const scheduled = (name: string, annotations: Readonly<Record<string, string>>): FlowCase => ({
    name,
    rules: ['S8.2'],
    objects: [service(net, protocol, { annotations }), ready(net, protocol, ...pods)],
    packets: [to(cluster, 'remote-2', direct(...pods))],
  })
  const drained = { 'weir.dev/weights': JSON.stringify({ 'pod-1': 0 }) }
  return [
    weighted('weight 0 by pod', ['S8.4'], { 'pod-1': 0 }, ['pod-2', 'remote-1']),
    weighted('weight 0 by address', ['S8.4'], { [net.at['pod-1']]: 0 }, ['pod-2', 'remote-1']),
    weighted('weight 0 by node', ['S8.4'], { [nodeName]: 0 }, ['remote-1']),
    weighted('weight 0 by zone', ['S8.4'], { [otherZone]: 0 }, ['pod-1', 'pod-2']),
    weighted('zone, then node, then pod, then address', ['S8.3'], { [zone]: 0, [nodeName]: 1 }, [...pods]),
    weighted('the pod is more specific than its node', ['S8.3'], { [nodeName]: 0, 'pod-2': 1 }, ['pod-2', 'remote-1']),
    weighted('the address is more specific than its pod', ['S8.3'], { 'pod-2': 1, [net.at['pod-2']]: 0 }, [
      'pod-1',
      'remote-1',
    ]),
    weighted('all drained: no endpoints', ['S8.4', 'S6.5'], { [nodeName]: 0, [otherNode]: 0 }, []),
    ...['random', 'rr', 'wrr', 'sh', 'dh', 'mh'].map((scheduler) =>
      weighted(`weight 0 under ${scheduler}`, ['S8.4'], { 'pod-1': 0, 'pod-2': 0 }, ['remote-1'], {
        'weir.dev/scheduler': scheduler,
      }),
    ),
    scheduled('a scheduler that the backend lacks, or that nobody knows, is random', {
      'weir.dev/scheduler': traits.lackedScheduler,
    }),
    scheduled('not a scheduler', { 'weir.dev/scheduler': 'no such' }),
    scheduled('broken weights', { 'weir.dev/weights': '{' }),
    scheduled("kube-router's name", { 'kube-router.io/service.scheduler': 'rr' }),
    {
      name: 'a drained endpoint has no say in hints',
      rules: ['S8.4', 'S5.2'],
      objects: [
        service(net, protocol, { annotations: drained }),
        slice(net, protocol, [
          endpoint(net, 'pod-1'),
          endpoint(net, 'pod-2', { zones: [zone] }),
          endpoint(net, 'remote-1', { zones: [otherZone] }),
        ]),
      ],
      packets: [to(cluster, 'remote-2', direct('pod-2'))],
    },
    {
      name: 'without the drained one those serve that terminate',
      rules: ['S8.4', 'S4.3'],
      objects: [
        service(net, protocol, { annotations: drained }),
        slice(net, protocol, [endpoint(net, 'pod-1'), endpoint(net, 'pod-2', leaving)]),
      ],
      packets: [to(cluster, 'remote-2', direct('pod-2'))],
    },
    {
      name: 'the last local endpoint is drained',
      rules: ['S8.4', 'S6.6'],
      objects: [
        exposed(net, protocol, { annotations: drained, spec: { externalTrafficPolicy: 'Local' } }),
        ready(net, protocol, 'pod-1', 'remote-1'),
      ],
      packets: [to(onNode, 'client', dropped), to(cluster, 'client', masqueraded('remote-1'))],
    },
  ]
}

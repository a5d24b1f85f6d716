/** Where rules meet: addresses in several hands, endpoints on the node itself, every scheduler under every policy. */
import type { DetectLocal } from '../../src/desired/detect-local.ts'
import {
  direct,
  dropped,
  type Expectation,
  type FlowCase,
  type FlowTable,
  masqueraded,
  refused,
  to,
  toElsewhere,
} from './flow.ts'
import { freePort, nodePort, port } from './net.ts'
import { clusterFront, endpoint, exposed, externalFronts, type Front, ready, service, slice } from './objects.ts'
import { vipOnNode } from './source-ranges.ts'

const schedulers = ['random', 'rr', 'wrr', 'sh', 'dh', 'mh'] as const
const externalLocal = { externalTrafficPolicy: 'Local' }

export const edges: FlowTable = (net, protocol, traits) => {
  const unusedPort: Expectation = traits.unusedPorts === 'refused' ? refused : toElsewhere
  const cluster = clusterFront(net)
  const external = externalFronts(net)
  const own: Front = { what: 'the node as load balancer IP', ip: net.at.node, port }
  const onDevice: Front = { what: 'a VIP on an interface', ip: net.vip(vipOnNode), port }
  const klipper = (spec: Readonly<Record<string, unknown>>, ...slices: readonly ReturnType<typeof ready>[]) => [
    exposed(net, protocol, { spec, ingress: [{ ip: own.ip }] }),
    ...slices,
  ]
  const elsewhereDetected: readonly DetectLocal[] = [
    { kind: 'BridgeInterface', name: 'cali-pod-2' },
    { kind: 'InterfaceNamePrefix', prefix: 'cali-' },
  ]
  const second = { name: 'second', port: { port: 81 } }
  const secondSlice = slice(net, protocol, [endpoint(net, 'remote-1')], { service: 'second' })
  return [
    {
      name: 'an endpoint in the network of the node',
      rules: ['S6.1', 'S6.2', 'S11.5'],
      objects: [exposed(net, protocol), ready(net, protocol, 'node')],
      packets: [
        to(cluster, 'pod-2', direct('node')),
        // What is for the node itself passes no postrouting hook: nothing can masquerade it.
        to(cluster, 'client', direct('node')),
        to(cluster, 'node', direct('node')),
        ...external.flatMap((front) => [to(front, 'client', direct('node')), to(front, 'node', direct('node'))]),
      ],
    },
    {
      name: 'an endpoint in the network of the node under externalTrafficPolicy Local',
      rules: ['S6.3', 'S4.6'],
      objects: [exposed(net, protocol, { spec: externalLocal }), ready(net, protocol, 'node', 'remote-1')],
      packets: external.map((front) => to(front, 'client', direct('node'))),
    },
    {
      name: "a load balancer IP that is the node's own address",
      rules: ['S2.4', 'S6.2'],
      objects: klipper({}, ready(net, protocol, 'pod-1', 'remote-1')),
      packets: [
        to(own, 'client', masqueraded('pod-1', 'remote-1')),
        to(own, 'node', masqueraded('pod-1', 'remote-1')),
        { from: 'client', to: own.ip, port: nodePort, expect: masqueraded('pod-1', 'remote-1') },
      ],
    },
    {
      name: "the node's own address without endpoints",
      rules: ['S6.5'],
      objects: klipper({}),
      packets: [to(own, 'client', refused), to(own, 'pod-2', refused), to(own, 'node', refused)],
    },
    {
      name: "the node's own address under externalTrafficPolicy Local without local endpoints",
      rules: ['S6.6', 'S6.3'],
      objects: klipper(externalLocal, ready(net, protocol, 'remote-1')),
      packets: [
        to(own, 'client', dropped),
        { from: 'client', to: own.ip, port: nodePort, expect: dropped },
        to(own, 'pod-2', direct('remote-1')),
        to(own, 'node', masqueraded('remote-1')),
      ],
    },
    {
      name: "the node's own address with source ranges",
      rules: ['S7.1', 'S7.3'],
      objects: klipper({ loadBalancerSourceRanges: [net.aroundClient] }, ready(net, protocol, 'pod-1')),
      packets: [
        to(own, 'client', masqueraded('pod-1')),
        to(own, 'client-2', dropped),
        to(own, 'node', dropped),
        { from: 'client-2', to: own.ip, port: nodePort, expect: masqueraded('pod-1') },
      ],
    },
    {
      name: 'the node comes as the VIP that is on its interface, under externalTrafficPolicy Local',
      rules: ['S6.3'],
      objects: [
        exposed(net, protocol, { spec: externalLocal, ingress: [{ ip: onDevice.ip }] }),
        ready(net, protocol, 'remote-1'),
      ],
      packets: [to(onDevice, 'node', masqueraded('remote-1')), to(onDevice, 'client', dropped)],
    },
    ...elsewhereDetected.map(
      (detectLocal): FlowCase => ({
        name: `the short-circuit with ${detectLocal.kind}`,
        rules: ['S6.3', 'S11.4'],
        settings: { detectLocal },
        objects: [exposed(net, protocol, { spec: externalLocal }), ready(net, protocol, 'pod-1', 'remote-1')],
        packets: external.flatMap((front) => [
          to(front, 'pod-2', direct('pod-1', 'remote-1')),
          to(front, 'remote-2', direct('pod-1')),
          to(front, 'client', direct('pod-1')),
        ]),
      }),
    ),
    ...schedulers.flatMap((scheduler): readonly FlowCase[] => {
      const annotations = { 'weir.dev/scheduler': scheduler }
      return [
        {
          name: `${scheduler} under externalTrafficPolicy Local`,
          rules: ['S8.2', 'S6.3'],
          objects: [
            exposed(net, protocol, { annotations, spec: externalLocal }),
            slice(net, protocol, [
              endpoint(net, 'pod-1', { zones: ['zone-b'] }),
              endpoint(net, 'remote-1', { zones: ['zone-a'] }),
            ]),
          ],
          packets: external.flatMap((front) => [
            to(front, 'client', direct('pod-1')),
            to(front, 'pod-2', direct('remote-1')),
            to(front, 'node', masqueraded('remote-1')),
          ]),
        },
        {
          name: `${scheduler} without local endpoints, then without any`,
          rules: ['S8.2', 'S6.6'],
          objects: [exposed(net, protocol, { annotations, spec: externalLocal }), ready(net, protocol, 'remote-1')],
          packets: external.flatMap((front) => [to(front, 'client', dropped), to(front, 'pod-2', direct('remote-1'))]),
        },
        {
          name: `${scheduler} with affinity`,
          rules: ['S8.1', 'S8.2'],
          objects: [
            exposed(net, protocol, { annotations, spec: { sessionAffinity: 'ClientIP' } }),
            ready(net, protocol, 'pod-1'),
          ],
          packets: [
            to(cluster, 'pod-2', direct('pod-1')),
            to(cluster, 'pod-1', masqueraded('pod-1')),
            ...external.map((front) => to(front, 'client', masqueraded('pod-1'))),
          ],
        },
      ]
    }),
    {
      name: 'two Services share a ClusterIP by port',
      rules: ['S9.1', 'S10.1'],
      objects: [service(net, protocol), ready(net, protocol, 'pod-1'), service(net, protocol, second), secondSlice],
      packets: [
        { from: 'pod-2', to: cluster.ip, port, expect: direct('pod-1') },
        { from: 'pod-2', to: cluster.ip, port: 81, expect: direct('remote-1') },
        { from: 'pod-2', to: cluster.ip, port: freePort, expect: unusedPort },
      ],
    },
    {
      name: 'one of them goes: the ClusterIP is still in use',
      rules: ['S9.3', 'S10.1'],
      objects: [service(net, protocol, second), secondSlice],
      packets: [
        { from: 'pod-2', to: cluster.ip, port, expect: unusedPort },
        { from: 'client', to: cluster.ip, port: 81, expect: masqueraded('remote-1') },
      ],
    },
    {
      name: "an external IP that is another Service's ClusterIP, at another port",
      rules: ['S9.1', 'S2.3', 'S6.2'],
      objects: [
        service(net, protocol),
        ready(net, protocol, 'pod-1'),
        service(net, protocol, {
          name: 'second',
          port: { port: 81 },
          spec: {
            clusterIP: net.clusterIP(2),
            clusterIPs: [net.clusterIP(2)],
            externalIPs: [cluster.ip],
            ...externalLocal,
          },
        }),
        slice(net, protocol, [endpoint(net, 'pod-2'), endpoint(net, 'remote-1')], { service: 'second' }),
      ],
      packets: [
        { from: 'pod-2', to: cluster.ip, port, expect: direct('pod-1') },
        { from: 'remote-2', to: cluster.ip, port: 81, expect: direct('pod-2', 'remote-1') },
      ],
    },
  ]
}

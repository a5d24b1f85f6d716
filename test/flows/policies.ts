/** Which list serves which traffic, and what happens when it is empty: S6. */
import { direct, dropped, type FlowTable, masqueraded, type Packet, refused, to, toElsewhere } from './flow.ts'
import { clusterCidr } from './masquerade.ts'
import { ipv4, ipv6, nodeName, otherNode } from './net.ts'
import {
  clusterFront,
  endpoint,
  exposed,
  externalFronts,
  type Front,
  leaving,
  ready,
  service,
  slice,
  unready,
} from './objects.ts'

const internalLocal = { internalTrafficPolicy: 'Local' }
const externalLocal = { externalTrafficPolicy: 'Local' }

export const policies: FlowTable = (net, protocol, traits) => {
  const cluster = clusterFront(net)
  const external = externalFronts(net)
  const fromNode = (packet: Packet): Packet => ({ ...packet, source: net.nodeSecond })
  const other = net === ipv4 ? ipv6 : ipv4
  const everyone = ['client', 'pod-2', 'node'] as const
  const isElsewhere = (front: Front): boolean => front !== cluster && front.ip !== net.at.node
  const refusedEverywhere = [cluster, ...external].flatMap((front) =>
    everyone.map((from) => {
      const isLetOut = from === 'node' && isElsewhere(front) && traits.externalFromNode === 'routed'
      return to(front, from, isLetOut ? toElsewhere : refused)
    }),
  )
  return [
    {
      name: 'internalTrafficPolicy Local: endpoints here, whoever asks',
      rules: ['S6.1', 'S4.1'],
      objects: [service(net, protocol, { spec: internalLocal }), ready(net, protocol, 'pod-1', 'remote-1', 'remote-2')],
      packets: [
        to(cluster, 'pod-2', direct('pod-1')),
        to(cluster, 'client', masqueraded('pod-1')),
        to(cluster, 'node', masqueraded('pod-1')),
      ],
    },
    {
      name: 'internalTrafficPolicy Local does not bind external traffic',
      rules: ['S6.1', 'S6.2'],
      objects: [exposed(net, protocol, { spec: internalLocal }), ready(net, protocol, 'pod-1', 'remote-1')],
      packets: [
        to(cluster, 'pod-2', direct('pod-1')),
        ...external.map((front) => to(front, 'client', masqueraded('pod-1', 'remote-1'))),
      ],
    },
    {
      name: 'internalTrafficPolicy Local and no endpoint here: dropped; external traffic goes on',
      rules: ['S6.6', 'S6.1'],
      objects: [exposed(net, protocol, { spec: internalLocal }), ready(net, protocol, 'remote-1')],
      packets: [
        ...everyone.map((from) => to(cluster, from, dropped)),
        ...external.map((front) => to(front, 'client', masqueraded('remote-1'))),
      ],
    },
    {
      name: 'externalTrafficPolicy Local: local endpoints and the client itself for others, the cluster for pods and the node',
      rules: ['S6.3', 'S11.3'],
      settings: { detectLocal: { kind: 'NodeCIDR' } },
      objects: [exposed(net, protocol, { spec: externalLocal }), ready(net, protocol, 'pod-1', 'remote-1')],
      packets: [
        ...external.flatMap((front) => [
          to(front, 'client', direct('pod-1')),
          to(front, 'remote-2', direct('pod-1')),
          to(front, 'pod-2', direct('pod-1', 'remote-1')),
          fromNode(to(front, 'node', masqueraded('pod-1', 'remote-1'))),
        ]),
        to(cluster, 'client', masqueraded('pod-1', 'remote-1')),
      ],
    },
    {
      name: 'externalTrafficPolicy Local with ClusterCIDR: every pod of the cluster takes the short-circuit',
      rules: ['S6.3', 'S11.4'],
      objects: [exposed(net, protocol, { spec: externalLocal }), ready(net, protocol, 'pod-1', 'remote-1')],
      packets: external.map((front) => to(front, 'remote-2', direct('pod-1', 'remote-1'))),
    },
    {
      name: 'externalTrafficPolicy Local without a detector: no short-circuit for pods, one for the node',
      rules: ['S6.3', 'S11.4'],
      settings: { detectLocal: clusterCidr(other) },
      objects: [exposed(net, protocol, { spec: externalLocal }), ready(net, protocol, 'pod-1', 'remote-1')],
      packets: external.flatMap((front) => [
        to(front, 'pod-2', direct('pod-1')),
        fromNode(to(front, 'node', masqueraded('pod-1', 'remote-1'))),
      ]),
    },
    {
      name: 'externalTrafficPolicy Local and masqueradeAll: the client is still seen',
      rules: ['S6.3', 'S11.2', 'S11.3'],
      settings: { masqueradeAll: true },
      objects: [exposed(net, protocol, { spec: externalLocal }), ready(net, protocol, 'pod-1', 'remote-1')],
      packets: [
        ...external.map((front) => to(front, 'client', direct('pod-1'))),
        to(cluster, 'pod-2', masqueraded('pod-1', 'remote-1')),
      ],
    },
    {
      name: 'externalTrafficPolicy Local and no endpoint here: dropped, but pods and the node are served',
      rules: ['S6.6', 'S6.3'],
      settings: { detectLocal: { kind: 'NodeCIDR' } },
      objects: [exposed(net, protocol, { spec: externalLocal }), ready(net, protocol, 'remote-1')],
      packets: [
        ...external.flatMap((front) => [
          to(front, 'client', dropped),
          to(front, 'remote-2', dropped),
          to(front, 'pod-2', direct('remote-1')),
          fromNode(to(front, 'node', masqueraded('remote-1'))),
        ]),
        to(cluster, 'client', masqueraded('remote-1')),
        to(cluster, 'pod-2', direct('remote-1')),
      ],
    },
    {
      name: 'both policies Local and no endpoint here: dropped everywhere, the short-circuit of external traffic works',
      rules: ['S6.6', 'S6.3', 'S4.1'],
      settings: { detectLocal: { kind: 'NodeCIDR' } },
      objects: [
        exposed(net, protocol, { spec: { ...internalLocal, ...externalLocal } }),
        ready(net, protocol, 'remote-1'),
      ],
      packets: [
        ...everyone.map((from) => to(cluster, from, dropped)),
        ...external.flatMap((front) => [
          to(front, 'client', dropped),
          to(front, 'pod-2', direct('remote-1')),
          fromNode(to(front, 'node', masqueraded('remote-1'))),
        ]),
      ],
    },
    {
      name: 'both policies Local with endpoints here',
      rules: ['S6.1', 'S6.3', 'S4.1'],
      settings: { detectLocal: { kind: 'NodeCIDR' } },
      objects: [
        exposed(net, protocol, { spec: { ...internalLocal, ...externalLocal } }),
        ready(net, protocol, 'pod-1', 'remote-1'),
      ],
      packets: [
        ...everyone.map((from) => to(cluster, from, (from === 'pod-2' ? direct : masqueraded)('pod-1'))),
        ...external.flatMap((front) => [
          to(front, 'client', direct('pod-1')),
          to(front, 'pod-2', direct('pod-1', 'remote-1')),
        ]),
      ],
    },
    {
      name: 'externalTrafficPolicy Local of a ClusterIP Service means something for its external IPs only',
      rules: ['S6.4', 'S4.1'],
      settings: { detectLocal: { kind: 'NodeCIDR' } },
      objects: [
        service(net, protocol, {
          spec: { ...externalLocal, externalIPs: [net.externalIP(1)] },
          ingress: [{ ip: net.vip(1) }],
        }),
        ready(net, protocol, 'pod-1', 'remote-1'),
      ],
      packets: [
        { from: 'client', to: net.externalIP(1), port: 80, expect: direct('pod-1') },
        to(cluster, 'client', masqueraded('pod-1', 'remote-1')),
      ],
    },
    {
      name: 'externalTrafficPolicy Local of a ClusterIP Service without external IPs reads Cluster',
      rules: ['S6.4'],
      objects: [
        service(net, protocol, { spec: externalLocal, ingress: [{ ip: net.vip(1) }] }),
        ready(net, protocol, 'pod-1', 'remote-1'),
      ],
      packets: [{ from: 'client', to: net.vip(1), port: 80, expect: masqueraded('pod-1', 'remote-1') }],
    },
    ...['no slice', 'an empty slice', 'endpoints that are not ready', 'endpoints of another port'].map((what, i) => ({
      name: `no endpoints (${what}): refused everywhere`,
      rules: ['S6.5', 'S4.5', 'S3.1'] as const,
      objects: [
        exposed(net, protocol),
        ...([
          [],
          [slice(net, protocol, [])],
          [slice(net, protocol, [endpoint(net, 'pod-1', unready), endpoint(net, 'remote-1', unready)])],
          [slice(net, protocol, [endpoint(net, 'pod-1')], { ports: [{ name: 'x', protocol, port: 8080 }] })],
        ][i] ?? []),
      ],
      packets: refusedEverywhere,
    })),
    ...[internalLocal, externalLocal, { ...internalLocal, ...externalLocal }].map((spec) => ({
      name: `no endpoints with ${Object.keys(spec).join(' and ')} Local: refused, not dropped`,
      rules: ['S6.5'] as const,
      objects: [exposed(net, protocol, { spec }), slice(net, protocol, [endpoint(net, 'pod-1', unready)])],
      packets: refusedEverywhere,
    })),
    {
      name: 'endpoints elsewhere that only terminate count as endpoints: dropped, not refused',
      rules: ['S4.5', 'S6.6'],
      objects: [
        exposed(net, protocol, { spec: externalLocal }),
        slice(net, protocol, [endpoint(net, 'remote-1', leaving)]),
      ],
      packets: external.flatMap((front) => [to(front, 'client', dropped), to(front, 'pod-2', direct('remote-1'))]),
    },
    {
      name: 'local is what names our node',
      rules: ['S4.6'],
      objects: [
        exposed(net, protocol, { spec: externalLocal }),
        slice(net, protocol, [
          endpoint(net, 'pod-1', { nodeName: otherNode }),
          endpoint(net, 'pod-2', { nodeName: undefined }),
          endpoint(net, 'remote-1', { nodeName }),
        ]),
      ],
      packets: external.map((front) => to(front, 'client', direct('remote-1'))),
    },
  ]
}

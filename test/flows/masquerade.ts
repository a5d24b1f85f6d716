/** Whom an endpoint sees as its client: S11. */

import type { DetectLocal } from '../../src/desired/detect-local.ts'
import { parseCidr } from '../../src/model/cidr.ts'
import {
  direct,
  type FlowCase,
  type FlowTable,
  masqueraded,
  type Packet,
  type Rule,
  type Settings,
  to,
} from './flow.ts'
import { ipv4, ipv6, type Net, nets, type Place } from './net.ts'
import { clusterFront, exposed, externalFronts, type Manifest, node, ready, service } from './objects.ts'

export const clusterCidr = (net: Net): Extract<DetectLocal, { kind: 'ClusterCIDR' }> => {
  const cidr = parseCidr(net.clusterCidr)
  return { kind: 'ClusterCIDR', cidrs: cidr === undefined ? [] : [cidr] }
}

/** Modes, and which places count as local under each. The node and `client` never do. */
const modes = (net: Net): readonly { readonly mode: DetectLocal; readonly local: readonly Place[] }[] => [
  { mode: clusterCidr(net), local: ['pod-2', 'remote-2'] },
  { mode: { kind: 'NodeCIDR' }, local: ['pod-2'] },
  { mode: { kind: 'BridgeInterface', name: 'cali-pod-2' }, local: ['pod-2'] },
  // A bridge's name is a whole name.
  { mode: { kind: 'BridgeInterface', name: 'cali-pod' }, local: [] },
  { mode: { kind: 'InterfaceNamePrefix', prefix: 'cali-' }, local: ['pod-2'] },
  { mode: { kind: 'InterfaceNamePrefix', prefix: 'cali-pod-2' }, local: ['pod-2'] },
]

const sources = ['pod-2', 'remote-2', 'client', 'node'] as const
const modeName = (mode: DetectLocal): string => {
  switch (mode.kind) {
    case 'ClusterCIDR':
    case 'NodeCIDR':
      return mode.kind
    case 'BridgeInterface':
      return `BridgeInterface ${mode.name}`
    case 'InterfaceNamePrefix':
      return `InterfaceNamePrefix ${mode.prefix}`
  }
}

export const masquerade: FlowTable = (net, protocol, traits) => {
  const cluster = clusterFront(net)
  const objects = [service(net, protocol), ready(net, protocol, 'pod-1', 'remote-1')]
  const other = net === ipv4 ? ipv6 : ipv4
  const clusterIP = (
    name: string,
    settings: Partial<Settings>,
    locals: readonly Place[],
    extra: readonly Manifest[] = [],
  ) =>
    ({
      name: `ClusterIP with ${name}`,
      rules: ['S11.2', 'S11.4'] satisfies readonly Rule[],
      settings,
      objects: [...objects, ...extra],
      packets: sources.map((from): Packet => {
        const expect = (locals.includes(from) ? direct : masqueraded)('pod-1', 'remote-1')
        return from === 'node' ? { ...to(cluster, from, expect), source: net.nodeSecond } : to(cluster, from, expect)
      }),
    }) satisfies FlowCase
  const everyone = sources.filter((from) => from !== 'node' || traits.fromNodeUndetected === 'direct')
  return [
    ...modes(net).map(({ mode, local }) => clusterIP(modeName(mode), { detectLocal: mode }, local)),
    ...modes(net)
      .slice(0, 2)
      .map(({ mode }) =>
        clusterIP(`masqueradeAll and ${modeName(mode)}`, { detectLocal: mode, masqueradeAll: true }, []),
      ),
    clusterIP('no network of this family', { detectLocal: clusterCidr(other) }, everyone),
    clusterIP(
      'masqueradeAll and no network of this family',
      { detectLocal: clusterCidr(other), masqueradeAll: true },
      [],
    ),
    clusterIP('NodeCIDR and a Node without networks', { detectLocal: { kind: 'NodeCIDR' } }, everyone, [
      node(nets, { podCidrs: [] }),
    ]),
    {
      name: 'NodeCIDR goes by the first network of the family',
      rules: ['S11.4'],
      settings: { detectLocal: { kind: 'NodeCIDR' } },
      objects: [node(nets, { podCidrs: [other.podCidr, net.unrelated, net.podCidr] }), ...objects],
      packets: [to(cluster, 'pod-2', masqueraded('pod-1', 'remote-1'))],
    },
    {
      name: 'another mark bit does the same',
      rules: ['S11.1'],
      settings: { masqueradeBit: 31 },
      objects,
      packets: [
        to(cluster, 'client', masqueraded('pod-1', 'remote-1')),
        to(cluster, 'pod-2', direct('pod-1', 'remote-1')),
      ],
    },
    {
      name: 'the lowest mark bit does the same',
      rules: ['S11.1'],
      settings: { masqueradeBit: 0 },
      objects,
      packets: [
        to(cluster, 'client', masqueraded('pod-1', 'remote-1')),
        to(cluster, 'pod-2', direct('pod-1', 'remote-1')),
      ],
    },
    {
      name: 'a pod that reaches itself sees the node',
      rules: ['S11.5'],
      objects: [exposed(net, protocol), ready(net, protocol, 'pod-1')],
      packets: [clusterFront(net), ...externalFronts(net)].flatMap((front) => [
        to(front, 'pod-1', masqueraded('pod-1')),
        to(front, 'pod-2', front.what === 'ClusterIP' ? direct('pod-1') : masqueraded('pod-1')),
      ]),
    },
    {
      name: 'hairpin under policies of Local',
      rules: ['S11.5', 'S6.1', 'S6.3'],
      objects: [
        exposed(net, protocol, { spec: { internalTrafficPolicy: 'Local', externalTrafficPolicy: 'Local' } }),
        ready(net, protocol, 'pod-1'),
      ],
      packets: [clusterFront(net), ...externalFronts(net)].map((front) => to(front, 'pod-1', masqueraded('pod-1'))),
    },
  ]
}

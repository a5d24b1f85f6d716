/** Packets that no service port wants, and addresses that several want: S10 and S9. */
import {
  direct,
  dropped,
  type Expectation,
  type FlowTable,
  masqueraded,
  refused,
  to,
  toElsewhere,
  toNodeItself,
} from './flow.ts'
import { ipv4, ipv6, nodePort, port } from './net.ts'
import { clusterFront, endpoint, exposed, type Front, ready, service, serviceCidr, slice } from './objects.ts'

export const unwanted: FlowTable = (net, protocol, traits) => {
  const cluster = clusterFront(net)
  const other = net === ipv4 ? ipv6 : ipv4
  const everyone = ['client', 'pod-2', 'node'] as const
  const objects = [service(net, protocol, { port: { port: 81 } }), ready(net, protocol, 'pod-1')]
  const unusedPort: Expectation = traits.unusedPorts === 'refused' ? refused : toElsewhere
  const unusedExternalPort: Expectation = traits.unusedExternalPorts === 'refused' ? refused : toElsewhere
  const unusedIP: Expectation = traits.unusedClusterIPs === 'dropped' ? dropped : toElsewhere
  const free: Front = { what: 'free ClusterIP', ip: net.clusterIP(99), port }
  return [
    {
      name: 'another port of a ClusterIP in use',
      rules: ['S10.1'],
      objects,
      packets: everyone.map((from) => to(cluster, from, unusedPort)),
    },
    {
      name: 'another port of a ClusterIP in use, inside a ServiceCIDR',
      rules: ['S10.1', 'S10.2'],
      objects: [...objects, serviceCidr('kubernetes', net.serviceCidr)],
      packets: everyone.map((from) => to(cluster, from, unusedPort)),
    },
    {
      name: 'the port is defined for another protocol',
      rules: ['S10.1', 'S1.3'],
      objects: [
        service(net, protocol === 'TCP' ? 'UDP' : 'TCP'),
        ready(net, protocol === 'TCP' ? 'UDP' : 'TCP', 'pod-1'),
      ],
      packets: everyone.map((from) => to(cluster, from, unusedPort)),
    },
    {
      name: 'a ClusterIP that nobody has, inside a ServiceCIDR',
      rules: ['S10.2'],
      objects: [...objects, serviceCidr('kubernetes', net.serviceCidr, other.serviceCidr)],
      packets: [
        ...everyone.map((from) => to(free, from, unusedIP)),
        { from: 'client', to: net.externalIP(9), port, expect: toElsewhere },
        { from: 'pod-2', to: cluster.ip, port: 81, expect: direct('pod-1') },
      ],
    },
    {
      name: 'a ClusterIP that nobody has, outside every ServiceCIDR',
      rules: ['S10.2'],
      objects: [...objects, serviceCidr('kubernetes', other.serviceCidr)],
      packets: everyone.map((from) => to(free, from, toElsewhere)),
    },
    {
      name: 'ServiceCIDRs nest and overlap, and what one still lists stays',
      rules: ['S10.2', 'S10.5'],
      objects: [
        ...objects,
        serviceCidr('wide', net.serviceCidr),
        serviceCidr('narrow', `${net.clusterIP(99)}/${net.bits}`),
      ],
      packets: [to(free, 'client', unusedIP), to({ ...free, ip: net.clusterIP(98) }, 'client', unusedIP)],
    },
    {
      name: 'after the wide one is gone',
      rules: ['S10.5'],
      objects: [...objects, serviceCidr('narrow', `${net.clusterIP(99)}/${net.bits}`)],
      packets: [to(free, 'client', unusedIP), to({ ...free, ip: net.clusterIP(98) }, 'client', toElsewhere)],
    },
    {
      name: `other ports of external addresses: ${traits.unusedExternalPorts}`,
      rules: ['S10.1', 'S2.3', 'S2.4'],
      objects: [exposed(net, protocol, { port: { port: 81 } }), ready(net, protocol, 'pod-1')],
      packets: [
        { from: 'client', to: net.externalIP(1), port, expect: unusedExternalPort },
        { from: 'client', to: net.vip(1), port, expect: unusedExternalPort },
      ],
    },
  ]
}

/** Several Services ask for the same: S9 and S2.5. */
export const ownership: FlowTable = (net, protocol) => {
  const own = (n: number, spec: object, more: object = {}) => ({
    name: `web-${n}`,
    spec: { clusterIP: net.clusterIP(n), clusterIPs: [net.clusterIP(n)], ...spec },
    ...more,
  })
  const backing = [
    slice(net, protocol, [endpoint(net, 'pod-1')], { service: 'web-1' }),
    slice(net, protocol, [endpoint(net, 'remote-1')], { service: 'web-2' }),
  ]
  const shared = { externalIPs: [net.externalIP(1)] }
  const young = { created: '2024-06-01T00:00:00Z' }
  const atShared = { what: 'shared external IP', ip: net.externalIP(1), port }
  const still = [
    { from: 'pod-2', to: net.clusterIP(1), port, expect: direct('pod-1') },
    { from: 'pod-2', to: net.clusterIP(2), port, expect: direct('remote-1') },
  ] as const
  return [
    {
      name: 'the older of two Services has the external IP; the other is served elsewhere',
      rules: ['S9.1', 'S9.2', 'S9.4'],
      objects: [service(net, protocol, own(1, shared, young)), service(net, protocol, own(2, shared)), ...backing],
      packets: [to(atShared, 'client', masqueraded('remote-1')), ...still],
    },
    {
      name: 'when the owner goes, the next one has it at once',
      rules: ['S9.3'],
      objects: [service(net, protocol, own(1, shared, young)), ...backing],
      packets: [
        to(atShared, 'client', masqueraded('pod-1')),
        { from: 'pod-2', to: net.clusterIP(2), port, expect: toElsewhere },
      ],
    },
    {
      name: 'and gives it back when the older one returns',
      rules: ['S9.2', 'S9.3'],
      objects: [service(net, protocol, own(2, shared)), service(net, protocol, own(1, shared, young)), ...backing],
      packets: [to(atShared, 'client', masqueraded('remote-1')), ...still],
    },
    {
      name: 'of the same age the first by name',
      rules: ['S9.2'],
      objects: [service(net, protocol, own(2, shared)), service(net, protocol, own(1, shared)), ...backing],
      packets: [to(atShared, 'client', masqueraded('pod-1')), ...still],
    },
    {
      name: 'a load balancer IP goes before an older external IP',
      rules: ['S9.2'],
      objects: [
        service(net, protocol, own(1, {}, { ...young, ingress: [{ ip: net.externalIP(1) }] })),
        service(net, protocol, own(2, shared)),
        ...backing,
      ],
      packets: [to(atShared, 'client', masqueraded('pod-1')), ...still],
    },
    {
      name: 'a ClusterIP goes before an older load balancer IP',
      rules: ['S9.2', 'S2.5'],
      objects: [
        service(net, protocol, own(1, {}, young)),
        service(net, protocol, own(2, {}, { ingress: [{ ip: net.clusterIP(1) }] })),
        ...backing,
      ],
      packets: still,
    },
    {
      name: 'one NodePort has one owner',
      rules: ['S9.1', 'S9.2'],
      objects: [
        service(net, protocol, own(1, {}, { ...young, port: { nodePort } })),
        service(net, protocol, own(2, {}, { port: { nodePort } })),
        ...backing,
      ],
      packets: [{ from: 'client', to: net.at.node, port: nodePort, expect: masqueraded('remote-1') }, ...still],
    },
    {
      name: 'a NodePort and an external IP that is the node’s address are two things',
      rules: ['S9.1', 'S2.2', 'S2.3'],
      objects: [
        service(net, protocol, own(1, {}, { port: { nodePort } })),
        service(net, protocol, own(2, { externalIPs: [net.at.node] })),
        ...backing,
      ],
      packets: [
        { from: 'client', to: net.at.node, port: nodePort, expect: masqueraded('pod-1') },
        { from: 'client', to: net.at.node, port, expect: masqueraded('remote-1') },
      ],
    },
    {
      name: 'NodePorts are one number space for both families',
      rules: ['S9.5'],
      objects: [
        service(net, protocol, own(1, {}, { ...young, port: { nodePort } })),
        service(net === ipv4 ? ipv6 : ipv4, protocol, {
          name: 'web-2',
          port: { nodePort },
        }),
        ...backing,
      ],
      packets: [{ from: 'client', to: net.at.node, port: nodePort, expect: toNodeItself }, still[0]],
    },
    {
      name: 'the same address with another protocol or port is no conflict',
      rules: ['S9.1'],
      objects: [
        service(net, protocol, own(1, shared, young)),
        service(net, protocol === 'TCP' ? 'UDP' : 'TCP', own(2, shared)),
        ...backing,
      ],
      packets: [to(atShared, 'client', masqueraded('pod-1'))],
    },
  ]
}

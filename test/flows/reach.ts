/** Which Services are proxied, and on which addresses: S1 and S2. */
import { direct, type FlowTable, masqueraded, refused, to, toElsewhere, toNodeItself } from './flow.ts'
import { ipv4, ipv6, nodePort, port } from './net.ts'
import { clusterFront, endpoint, exposed, externalFronts, type Front, ready, service, slice } from './objects.ts'

const proxyLabel = 'service.kubernetes.io/service-proxy-name'

export const reach: FlowTable = (net, protocol) => {
  const cluster = clusterFront(net)
  const external = externalFronts(net)
  const [onNode, externalIP, vip] = external
  if (onNode === undefined || externalIP === undefined || vip === undefined) throw new TypeError('a front is missing')
  const endpoints = ready(net, protocol, 'pod-1', 'remote-1')
  const outside: Front = { what: 'elsewhere', ip: net.externalIP(1), port }
  const other = net === ipv4 ? ipv6 : ipv4

  return [
    {
      name: 'a ClusterIP is reached from pods here and elsewhere and from the node',
      rules: ['S2.1', 'S6.1', 'S3.1'],
      objects: [service(net, protocol), endpoints],
      packets: [
        to(cluster, 'pod-2', direct('pod-1', 'remote-1')),
        to(cluster, 'remote-2', direct('pod-1', 'remote-1')),
        { ...to(cluster, 'node', masqueraded('pod-1', 'remote-1')), source: net.nodeSecond },
        to(cluster, 'client', masqueraded('pod-1', 'remote-1')),
      ],
    },
    {
      name: 'NodePort, external IP and load balancer IP are reached from everywhere',
      rules: ['S2.2', 'S2.3', 'S2.4', 'S6.2', 'S11.3'],
      objects: [exposed(net, protocol), endpoints],
      packets: external.flatMap((front) =>
        (['client', 'pod-2', 'remote-2', 'node'] as const).map((from) =>
          to(front, from, masqueraded('pod-1', 'remote-1')),
        ),
      ),
    },
    {
      name: 'without a NodePort there is none, whatever the type',
      rules: ['S2.2'],
      objects: [exposed(net, protocol, { port: { nodePort: undefined } }), endpoints],
      packets: [to(onNode, 'client', toNodeItself), to(vip, 'client', masqueraded('pod-1', 'remote-1'))],
    },
    {
      name: 'a NodePort needs no type NodePort',
      rules: ['S2.2'],
      objects: [service(net, protocol, { port: { nodePort } }), endpoints],
      packets: [to(onNode, 'client', masqueraded('pod-1', 'remote-1'))],
    },
    {
      name: 'an ingress with ipMode Proxy is left alone, one without a mode is a VIP',
      rules: ['S2.4'],
      objects: [
        exposed(net, protocol, {
          ingress: [{ ip: net.vip(1), ipMode: 'Proxy' }, { ip: net.vip(2) }, { hostname: 'x' }],
        }),
        endpoints,
      ],
      packets: [
        ...(['client', 'pod-2', 'node'] as const).map((from) => to(vip, from, toElsewhere)),
        { from: 'client', to: net.vip(2), port, expect: masqueraded('pod-1', 'remote-1') },
      ],
    },
    {
      name: 'external IPs can be forbidden',
      rules: ['S2.3'],
      settings: { allowExternalIPs: false },
      objects: [exposed(net, protocol), endpoints],
      packets: [
        to(externalIP, 'client', toElsewhere),
        to(externalIP, 'node', toElsewhere),
        to(vip, 'client', masqueraded('pod-1', 'remote-1')),
      ],
    },
    {
      name: 'headless and ExternalName Services and those of another proxy are not proxied',
      rules: ['S1.1'],
      objects: [
        service(net, protocol, { spec: { clusterIP: 'None', clusterIPs: ['None'], externalIPs: [net.externalIP(1)] } }),
        service(net, protocol, {
          name: 'named',
          spec: { type: 'ExternalName', externalName: 'example.org', externalIPs: [net.externalIP(2)] },
        }),
        exposed(net, protocol, { name: 'another', labels: { [proxyLabel]: 'another' } }),
        ready(net, protocol, 'pod-1'),
      ],
      packets: [
        to(outside, 'client', toElsewhere),
        { from: 'client', to: net.externalIP(2), port, expect: toElsewhere },
        to(vip, 'client', toElsewhere),
        to(cluster, 'client', toElsewhere),
        to(onNode, 'client', toNodeItself),
      ],
    },
    {
      name: 'what another proxy is named for is ours when we have that name',
      rules: ['S1.1'],
      settings: { proxyName: 'ours' },
      objects: [
        service(net, protocol, { labels: { [proxyLabel]: 'ours' } }),
        service(net, protocol, {
          name: 'plain',
          spec: { clusterIP: net.clusterIP(2), clusterIPs: [net.clusterIP(2)] },
        }),
        endpoints,
        slice(net, protocol, [endpoint(net, 'pod-2')], { service: 'plain' }),
      ],
      packets: [
        to(cluster, 'pod-2', direct('pod-1', 'remote-1')),
        { from: 'pod-2', to: net.clusterIP(2), port, expect: toElsewhere },
      ],
    },
    {
      name: 'a Service without a ClusterIP of the family has nothing else of that family either',
      rules: ['S1.1', 'S1.2', 'S9.6'],
      objects: [
        exposed(other, protocol, {
          spec: { externalIPs: [net.externalIP(1), other.externalIP(1)] },
          ingress: [{ ip: net.vip(1) }, { ip: other.vip(1) }],
        }),
        endpoints,
        slice(other, protocol, [endpoint(other, 'pod-2')], { name: 'web-other' }),
      ],
      packets: [
        to(externalIP, 'client', toElsewhere),
        to(vip, 'client', toElsewhere),
        to(onNode, 'client', toNodeItself),
        ...externalFronts(other).map((front) => to(front, 'client', masqueraded('pod-2'))),
      ],
    },
    {
      name: 'a dual-stack Service takes addresses, ranges and slices of each family for itself',
      rules: ['S1.2', 'S7.2'],
      objects: [
        exposed(net, protocol, {
          spec: {
            clusterIPs: [net.clusterIP(1), other.clusterIP(1)],
            ipFamilies: [net.family, other.family],
            externalIPs: [net.externalIP(1), other.externalIP(1)],
            loadBalancerSourceRanges: [other.unrelated],
          },
          ingress: [{ ip: net.vip(1) }, { ip: other.vip(1) }],
        }),
        slice(net, protocol, [endpoint(net, 'pod-1')]),
        slice(other, protocol, [endpoint(other, 'remote-1')], { name: 'web-other' }),
      ],
      packets: [
        ...external.map((front) => to(front, 'client', masqueraded('pod-1'))),
        ...externalFronts(other)
          .filter(({ what }) => what !== 'load balancer IP')
          .map((front) => to(front, 'client', masqueraded('remote-1'))),
        { from: 'client', to: other.vip(1), port, expect: { kind: 'dropped' } },
      ],
    },
    {
      name: 'each port of a Service has endpoints of its own, by name and protocol',
      rules: ['S1.3', 'S3.1'],
      objects: [
        service(net, protocol, {
          spec: {
            ports: [
              { name: 'a', protocol, port: 80, targetPort: 9999 },
              { name: 'b', protocol, port: 81, targetPort: 9999 },
              { name: 'c', protocol, port: 82 },
              { name: 'd', protocol: protocol === 'TCP' ? 'UDP' : 'TCP', port: 80 },
            ],
          },
        }),
        slice(net, protocol, [endpoint(net, 'pod-1')], { ports: [{ name: 'a', protocol, port: 8080 }] }),
        slice(net, protocol, [endpoint(net, 'remote-1')], {
          name: 'web-2',
          ports: [
            { name: 'b', protocol, port: 8080 },
            { name: 'c', protocol: protocol === 'TCP' ? 'UDP' : 'TCP', port: 8080 },
            { name: 'd', protocol, port: 8080 },
          ],
        }),
      ],
      packets: [
        { from: 'pod-2', to: cluster.ip, port: 80, expect: direct('pod-1') },
        { from: 'pod-2', to: cluster.ip, port: 81, expect: direct('remote-1') },
        { from: 'pod-2', to: cluster.ip, port: 82, expect: refused },
      ],
    },
  ]
}

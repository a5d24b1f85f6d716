/** Who may use a load balancer IP: S7. */
import { dropped, type FlowCase, type FlowTable, masqueraded, type Packet, type Rule, refused, to } from './flow.ts'
import { ipv4, ipv6 } from './net.ts'
import { clusterFront, exposed, externalFronts, type Front, ready } from './objects.ts'

/** A load balancer IP that is also on an interface of the node. */
export const vipOnNode = 40

export const sourceRanges: FlowTable = (net, protocol, traits) => {
  const [onNode, externalIP, vip] = externalFronts(net)
  if (onNode === undefined || externalIP === undefined || vip === undefined) throw new TypeError('a front is missing')
  const cluster = clusterFront(net)
  const other = net === ipv4 ? ipv6 : ipv4
  const taken = masqueraded('pod-1')
  const others: readonly Packet[] = [cluster, onNode, externalIP].map((front) => to(front, 'client-2', taken))
  const ranges = (
    name: string,
    rules: readonly Rule[],
    list: readonly string[],
    packets: readonly Packet[],
  ): FlowCase => ({
    name,
    rules,
    objects: [exposed(net, protocol, { spec: { loadBalancerSourceRanges: list } }), ready(net, protocol, 'pod-1')],
    packets,
  })
  const onDevice: Front = { ...vip, ip: net.vip(vipOnNode) }
  const withOwnVip = (list: readonly string[], packets: readonly Packet[], name: string): FlowCase => ({
    name,
    rules: ['S7.3'],
    objects: [
      exposed(net, protocol, { spec: { loadBalancerSourceRanges: list }, ingress: [{ ip: onDevice.ip }] }),
      ready(net, protocol, 'pod-1'),
    ],
    packets,
  })
  return [
    ranges(
      'who is inside is served, who is not is dropped, other addresses are free',
      ['S7.1'],
      [net.aroundClient],
      [
        to(vip, 'client', taken),
        to(vip, 'client-2', dropped),
        to(vip, 'pod-2', dropped),
        to(vip, 'node', dropped),
        ...others,
      ],
    ),
    ranges(
      'nested ranges are merged',
      ['S7.1'],
      [net.aroundClient, `${net.at.client}/${net.bits}`, net.aroundClient],
      [to(vip, 'client', taken), to(vip, 'client-2', dropped)],
    ),
    ranges(
      'single addresses, both ends of a range',
      ['S7.1'],
      [`${net.at.client}/${net.bits}`, `${net.at['client-2']}/${net.bits}`],
      [to(vip, 'client', taken), to(vip, 'client-2', taken), to(vip, 'pod-2', dropped)],
    ),
    ranges('nobody of ours is inside', ['S7.1'], [net.unrelated], [to(vip, 'client', dropped), ...others]),
    ranges(
      'a range that holds the whole family',
      ['S7.2'],
      [net.unrelated, net.everything],
      [to(vip, 'client', taken), to(vip, 'pod-2', taken), to(vip, 'node', taken)],
    ),
    ranges(
      'ranges of the other family alone',
      ['S7.2', 'S1.2'],
      [other.unrelated],
      [to(vip, 'client', taken), to(vip, 'node', taken)],
    ),
    ranges(
      'ranges of both families',
      ['S7.1', 'S1.2'],
      [other.everything, net.aroundClient],
      [to(vip, 'client', taken), to(vip, 'client-2', dropped)],
    ),
    ranges(
      'the node is inside',
      ['S7.1', 'S7.3'],
      [`${net.at.node}/${net.bits}`],
      [to(vip, 'node', taken), { ...to(vip, 'node', dropped), source: net.nodeSecond }, to(vip, 'client', dropped)],
    ),
    ranges('short-circuited pods are checked too', ['S7.1', 'S6.3'], [net.aroundClient], [to(vip, 'pod-2', dropped)]),
    withOwnVip(
      [`${net.at.node}/${net.bits}`],
      [to(onDevice, 'node', taken), to(onDevice, 'client', dropped)],
      'the node reaches a VIP on its interface when it is inside',
    ),
    withOwnVip(
      [net.aroundClient],
      [to(onDevice, 'node', dropped), to(onDevice, 'client', taken)],
      'and does not when it is not',
    ),
    {
      name: 'ranges hold under externalTrafficPolicy Local',
      rules: ['S7.1', 'S6.3'],
      objects: [
        exposed(net, protocol, {
          spec: { loadBalancerSourceRanges: [net.aroundClient], externalTrafficPolicy: 'Local' },
        }),
        ready(net, protocol, 'pod-1'),
      ],
      packets: [
        to(vip, 'client', { kind: 'answered', by: ['pod-1'], sees: 'client' }),
        to(vip, 'client-2', dropped),
        to(vip, 'pod-2', dropped),
        to(onNode, 'client-2', { kind: 'answered', by: ['pod-1'], sees: 'client' }),
      ],
    },
    {
      name: 'ranges without endpoints',
      rules: ['S7.4', 'S6.5'],
      objects: [exposed(net, protocol, { spec: { loadBalancerSourceRanges: [net.aroundClient] } })],
      packets: [
        to(vip, 'client', refused),
        to(vip, 'client-2', traits.rangesWithoutEndpoints ? dropped : refused),
        to(externalIP, 'client-2', refused),
      ],
    },
    {
      name: 'an address that is load balancer IP and external IP is guarded',
      rules: ['S2.5', 'S7.1'],
      objects: [
        exposed(net, protocol, {
          spec: { loadBalancerSourceRanges: [net.aroundClient], externalIPs: [net.vip(1), net.externalIP(1)] },
        }),
        ready(net, protocol, 'pod-1'),
      ],
      packets: [to(vip, 'client', taken), to(vip, 'client-2', dropped), to(externalIP, 'client-2', taken)],
    },
    {
      name: 'an address that is ClusterIP and load balancer IP is a ClusterIP',
      rules: ['S2.5', 'S7.1'],
      objects: [
        exposed(net, protocol, {
          spec: { loadBalancerSourceRanges: [net.aroundClient] },
          ingress: [{ ip: net.clusterIP(1) }],
        }),
        ready(net, protocol, 'pod-1'),
      ],
      packets: [
        to(cluster, 'client-2', taken),
        to(cluster, 'pod-2', { kind: 'answered', by: ['pod-1'], sees: 'client' }),
      ],
    },
  ]
}

import { defaultConnections } from '../../src/model/connections.ts'
import type { ServiceState, Target } from '../../src/model/desired.ts'
import type { HostState } from '../../src/model/host.ts'
import type { Family, IP } from '../../src/model/ip.ts'
import { cidr, ip, port } from '../property/track-objects.ts'
import { hostOf, stateOf, targetOf } from '../support/iptables-layouts.ts'

/** Hosts around the node, by their names in a scene. `remote` is a pod of another node, as far as Services are told. */
export const hosts = ['client', 'stranger', 'pod', 'other', 'remote'] as const
export type HostName = (typeof hosts)[number] | 'node'

/** A service port of each kind, by names that the flows (layout-flows.ts) use, and the addresses of everyone. */
export interface Cluster {
  readonly family: Family
  readonly at: Readonly<Record<HostName, IP>>
  readonly host: HostState
  readonly states: readonly ServiceState[]
  readonly clusterIP: (n: number) => IP
  readonly vip: (n: number) => IP
}

export const endpointPort = port(8080)

export const clusterOf = (family: Family): Cluster => {
  const four = family === 'IPv4'
  const of =
    (v4: string, v6: string) =>
    (n: number): IP =>
      ip(four ? `${v4}.${n}` : `${v6}::${n}`)
  const clusterIP = of('10.96.0', 'fd00:96')
  const vip = of('203.0.113', '2001:db8:203')
  const outside = of('198.51.100', '2001:db8:198')
  const pod = of('10.244.0', 'fd00:244:0')
  const at = {
    node: ip(four ? '192.0.2.10' : '2001:db8::10'),
    client: outside(7),
    stranger: outside(8),
    pod: pod(1),
    other: pod(2),
    remote: of('10.244.1', 'fd00:244:1')(1),
  }
  const target = (name: HostName, local: boolean): Target => targetOf(at[name], { port: endpointPort, local })
  const here = target('pod', true)
  const there = target('remote', false)
  const forwarded = (forwarding: 'direct' | 'tunnel') => ({
    port: endpointPort,
    connections: { ...defaultConnections, forwarding },
  })
  const none = { clusterIP: undefined }
  const only = (ip: IP) => [cidr(`${ip}/${four ? 32 : 128}`)]
  return {
    family,
    at,
    clusterIP,
    vip,
    host: hostOf(family, {
      detector: { kind: 'cidr', cidr: cidr(four ? '10.244.0.0/16' : 'fd00:244::/32') },
      addresses: [at.node, ip(four ? '127.0.0.1' : '::1')],
    }),
    states: [
      stateOf(family, 'x/cluster', { clusterIP: clusterIP(1), cluster: [there] }),
      stateOf(family, 'x/balanced', {
        clusterIP: clusterIP(2),
        loadBalancerIPs: [vip(2)],
        nodePort: port(30_002),
        cluster: [there],
      }),
      stateOf(family, 'x/local', {
        ...none,
        loadBalancerIPs: [vip(3)],
        nodePort: port(30_003),
        externalPolicy: 'Local',
        cluster: [there],
        local: [here],
      }),
      stateOf(family, 'x/elsewhere', {
        ...none,
        externalIPs: [vip(4)],
        nodePort: port(30_004),
        externalPolicy: 'Local',
        cluster: [there],
      }),
      stateOf(family, 'x/inside', { clusterIP: clusterIP(5), internalPolicy: 'Local', cluster: [there] }),
      stateOf(family, 'x/for-client', {
        ...none,
        loadBalancerIPs: [vip(6)],
        sourceRanges: only(at.client),
        cluster: [there],
      }),
      stateOf(family, 'x/for-node', {
        ...none,
        loadBalancerIPs: [vip(7)],
        sourceRanges: only(at.node),
        nodeInSourceRanges: true,
        cluster: [there],
      }),
      stateOf(family, 'x/nobody', { clusterIP: clusterIP(8), loadBalancerIPs: [vip(8)], externalPolicy: 'Local' }),
      stateOf(family, 'x/itself', { clusterIP: clusterIP(9), cluster: [here] }),
      stateOf(family, 'x/host', { clusterIP: clusterIP(10), cluster: [target('node', true)] }),
      stateOf(family, 'x/dns', {
        ...none,
        protocol: 'UDP',
        loadBalancerIPs: [vip(11)],
        externalPolicy: 'Local',
        cluster: [there],
        local: [here],
      }),
      stateOf(family, 'x/sctp', {
        ...none,
        protocol: 'SCTP',
        loadBalancerIPs: [vip(12)],
        nodePort: port(30_012),
        cluster: [there],
      }),
      ...(['direct', 'tunnel'] as const).flatMap((forwarding, i) => [
        stateOf(family, `x/${forwarding}`, {
          ...forwarded(forwarding),
          clusterIP: clusterIP(13 + 2 * i),
          cluster: [there],
        }),
        stateOf(family, `x/${forwarding}-local`, {
          ...forwarded(forwarding),
          ...none,
          externalIPs: [vip(14 + 2 * i)],
          externalPolicy: 'Local',
          cluster: [there],
          local: [here],
        }),
      ]),
      stateOf(family, 'x/here', { clusterIP: undefined, externalIPs: [at.node], port: port(81), cluster: [there] }),
    ],
  }
}

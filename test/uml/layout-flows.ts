import type { HostState } from '../../src/model/host.ts'
import type { Protocol } from '../../src/model/protocol.ts'
import { type Cluster, endpointPort, type HostName } from './layout-cluster.ts'

export interface Flow {
  readonly name: string
  readonly from: HostName
  readonly to: string
  readonly port: number
  readonly protocol: Protocol
  /** Who answers and whom it saw, `refused` or `timeout`. */
  readonly want: string
}

const flowList = () => {
  const flows: Flow[] = []
  const add = (
    name: string,
    to: string,
    port: number,
    wants: Partial<Record<HostName, string>>,
    protocol: Protocol = 'TCP',
  ): void => {
    for (const [from, want] of Object.entries(wants) as [HostName, string][])
      flows.push({ name, from, to, port, protocol, want })
  }
  return { flows, add }
}

/** What becomes of packets, by the rules of docs/service-semantics.md. */
export const flowsOf = ({ at, clusterIP, vip }: Cluster): readonly Flow[] => {
  const { flows, add } = flowList()
  const saw = (who: HostName, whom: HostName): string => `${who} saw ${at[whom]}`
  /** Masqueraded, whoever comes. */
  const hidden = { client: saw('remote', 'node'), pod: saw('remote', 'node'), node: saw('remote', 'node') }
  /** Policy Local with an endpoint here. */
  const local = { client: saw('pod', 'client'), other: saw('remote', 'other'), node: saw('remote', 'node') }
  const nobodyHere = { client: 'timeout', other: saw('remote', 'other'), node: saw('remote', 'node') }
  const refused = { client: 'refused', pod: 'refused', node: 'refused' }

  add('S6.1 S11.2 a cluster IP', clusterIP(1), 80, {
    client: saw('remote', 'node'),
    pod: saw('remote', 'pod'),
    node: saw('remote', 'node'),
  })
  add('S6.2 a load balancer IP under policy Cluster', vip(2), 80, hidden)
  add('S6.2 a NodePort under policy Cluster', at.node, 30_002, hidden)
  add('S6.3 a load balancer IP under policy Local', vip(3), 80, local)
  add('S6.3 a NodePort under policy Local', at.node, 30_003, local)
  add('S6.6 an external IP without local endpoints', vip(4), 80, nobodyHere)
  add('S6.6 a NodePort without local endpoints', at.node, 30_004, nobodyHere)
  add('S6.6 a cluster IP without local endpoints', clusterIP(5), 80, {
    client: 'timeout',
    pod: 'timeout',
    node: 'timeout',
  })
  add('S7.1 source ranges', vip(6), 80, {
    client: saw('remote', 'node'),
    stranger: 'timeout',
    pod: 'timeout',
    node: 'timeout',
  })
  add('S7.3 source ranges with the node in them', vip(7), 80, { client: 'timeout', node: saw('remote', 'node') })
  add('S6.5 no endpoints', clusterIP(8), 80, refused)
  add('S6.5 no endpoints under policy Local', vip(8), 80, refused)
  add('S11.5 an endpoint that reaches itself', clusterIP(9), 80, {
    pod: saw('pod', 'node'),
    other: saw('pod', 'other'),
    node: saw('pod', 'node'),
  })
  add('an endpoint in the network of the node', clusterIP(10), 80, {
    client: saw('node', 'client'),
    pod: saw('node', 'pod'),
    node: saw('node', 'node'),
  })
  add('S6.3 UDP', vip(11), 80, local, 'UDP')
  add('S6.2 SCTP', vip(12), 80, hidden, 'SCTP')
  add('S6.2 an SCTP NodePort', at.node, 30_012, hidden, 'SCTP')
  add('an external IP that is a node address', at.node, 81, hidden)
  add('S10.1 another port', clusterIP(1), 443, refused)
  add('S10.1 another port, UDP', clusterIP(1), 80, refused, 'UDP')
  add('S10.1 another port, which the host listens on', vip(2), 8080, refused)
  for (const [forwarding, n] of [
    ['direct routing', 13],
    ['a tunnel', 15],
  ] as const) {
    add(`S11.2 ${forwarding} never masquerades`, clusterIP(n), endpointPort, {
      client: saw('remote', 'client'),
      other: saw('remote', 'other'),
    })
    add(`S6.3 ${forwarding} under policy Local`, vip(n + 1), endpointPort, {
      client: saw('pod', 'client'),
      other: saw('remote', 'other'),
      node: saw('remote', 'node'),
    })
  }
  add('a port of the host', at.node, 8080, { client: saw('node', 'client') })
  return flows
}

/** The same cluster on a node that is configured differently. */
export interface Variant {
  readonly name: string
  readonly host: Partial<HostState>
  readonly flows: readonly Flow[]
}

export const variantsOf = ({ at, clusterIP, vip }: Cluster): readonly Variant[] => {
  const saw = (who: HostName, whom: HostName): string => `${who} saw ${at[whom]}`
  const of = (
    name: string,
    host: Partial<HostState>,
    wants: Readonly<Record<'clusterIP' | 'local' | 'elsewhere', Partial<Record<HostName, string>>>>,
  ): Variant => {
    const { flows, add } = flowList()
    add(`S11.2 a cluster IP ${name}`, clusterIP(1), 80, wants.clusterIP)
    add(`S6.3 policy Local ${name}`, vip(3), 80, wants.local)
    add(`S6.6 policy Local without local endpoints ${name}`, vip(4), 80, wants.elsewhere)
    return { name, host, flows }
  }
  const node = saw('remote', 'node')
  return [
    of(
      'without a detector',
      { detector: { kind: 'none' } },
      {
        clusterIP: { client: saw('remote', 'client'), pod: saw('remote', 'pod'), node },
        local: { client: saw('pod', 'client'), other: saw('pod', 'other'), node },
        elsewhere: { client: 'timeout', other: 'timeout', node },
      },
    ),
    of(
      'with masqueradeAll',
      { masqueradeAll: true },
      {
        clusterIP: { client: node, pod: node, node },
        local: { client: saw('pod', 'client'), other: saw('remote', 'other'), node },
        elsewhere: { client: 'timeout', other: saw('remote', 'other'), node },
      },
    ),
    of(
      'with pods told by their interface, and another mark',
      { detector: { kind: 'interfacePrefix', prefix: 'v-oth' }, masqueradeMark: 1 },
      {
        clusterIP: { client: node, pod: node, other: saw('remote', 'other'), node },
        local: { client: saw('pod', 'client'), other: saw('remote', 'other'), node },
        elsewhere: { client: 'timeout', pod: 'timeout', other: saw('remote', 'other'), node },
      },
    ),
  ]
}

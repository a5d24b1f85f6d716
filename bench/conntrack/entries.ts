import type { ModelChange } from '../../src/model/change.ts'
import { type FlowEnd, flowEnd } from '../../src/model/flow.ts'
import { type IP, parseIP } from '../../src/model/ip.ts'
import type { NewFlow } from '../../test/support/conntrack-entries.ts'
import { type ClusterSpec, synthesize } from '../cluster/cluster.ts'
import { targetPort } from '../cluster/manifests.ts'
import { clusterObjects } from '../cluster/objects.ts'
import type { Table } from './operations.ts'

export const spec: ClusterSpec = { seed: 1, services: 1_000, endpoints: 8 }

/** The synthetic cluster, as if everything in it spoke UDP. */
export const udpObjects = (): readonly ModelChange[] =>
  clusterObjects(spec).map((change): ModelChange => {
    if (change.kind === 'service' && change.value !== undefined) {
      const ports = change.value.ports.map((port) => ({ ...port, protocol: 'UDP' as const }))
      return { ...change, value: { ...change.value, ports } }
    }
    if (change.kind === 'slice' && change.value !== undefined) {
      const ports = change.value.ports.map((port) => ({ ...port, protocol: 'UDP' as const }))
      return { ...change, value: { ...change.value, ports } }
    }
    return change
  })

const at = (ip: string, port: number): FlowEnd => {
  const parsed: IP | undefined = parseIP(ip)
  if (parsed === undefined) throw new TypeError(`"${ip}" is no address`)
  return flowEnd(parsed, port)
}

/** 28 bits are as many clients as there can be entries. None has the address of a Service, which entries would be stale for. */
const client = (i: number): FlowEnd =>
  at(`100.${64 + ((i >> 24) & 15)}.${(i >> 16) & 255}.${1 + ((i >> 14) & 3)}`, 1_024 + (i & 0x3fff))

const elsewhere = at('203.0.113.53', 53)
const gone = at('10.255.255.254', targetPort)

/** Every other flow is to a Service, to each of its endpoints in turn; the first `stale` of those lead to none. */
export function* flowsOf({ entries, stale }: Table): Generator<NewFlow> {
  const fronts = [...synthesize(spec)].map(({ clusterIP, port, members }) => ({
    destination: at(clusterIP, port),
    targets: members.map(({ ip }) => at(ip, targetPort)),
  }))
  const flow = { family: 'IPv4', protocol: 'UDP' } as const
  for (let i = 0; i < entries; i++) {
    const source = client(i)
    const front = fronts[(i >> 1) % fronts.length]
    if (i % 2 === 1 || front === undefined) yield { ...flow, source, destination: elsewhere, target: elsewhere }
    else {
      const { destination, targets } = front
      const live = targets[Math.floor((i >> 1) / fronts.length) % targets.length] ?? gone
      yield { ...flow, source, destination, target: i >> 1 < stale ? gone : live }
    }
  }
}

export function* staleFlowsOf({ stale }: Table): Generator<NewFlow> {
  for (const flow of flowsOf({ entries: 2 * stale, stale })) if (flow.target === gone) yield flow
}

import type { Member } from '../kernel/ipset/member.ts'
import { familyOfServer, type VirtualServerId } from '../kernel/ipvs/ipvs.ts'
import type { Family, IP } from '../model/ip.ts'
import { type Protocol, protocolWord } from '../model/protocol.ts'
import type { SetRole } from './ipvs/sets.ts'

/** The sets whose members say which virtual servers are kube-proxy's or ours. */
export const ownershipRoles = [
  'CLUSTER-IP',
  'EXTERNAL-IP',
  'EXTERNAL-IP-LOCAL',
  'LOAD-BALANCER',
  'NODE-PORT-TCP',
  'NODE-PORT-UDP',
  'NODE-PORT-SCTP',
  'NODE-PORT',
  'INSIDE',
  'IPVS-IPS',
] as const satisfies readonly SetRole[]
export type OwnershipRole = (typeof ownershipRoles)[number]

/** Only weir has it, and has it throughout. */
const weirsRole: OwnershipRole = 'NODE-PORT'

/** What is known about the owner of one family's virtual servers. */
export interface OwnershipFacts {
  /** Of those sets of the family that are there, empty ones too. */
  readonly members: ReadonlyMap<OwnershipRole, Iterable<Member>>
  /** Addresses of kube-ipvs0. */
  readonly deviceAddresses: Iterable<IP>
  /** Every address of the node: where a NodePort may be. */
  readonly localAddresses: Iterable<IP>
}

const nodePortProtocol = { 'NODE-PORT-TCP': 'TCP', 'NODE-PORT-UDP': 'UDP' } as const satisfies Partial<
  Record<OwnershipRole, Protocol>
>

const skbmark = /^\S+ skbmark 0x([0-9a-f]+)/

/**
 * Whether a virtual server of `family` was made by kube-proxy or by us. Names are not what tells, for virtual servers have
 * none: members of sets are, which we write before virtual servers and remove after them. At addresses of kube-ipvs0 that
 * are in no such member, all are: those of sets that somebody has emptied. kube-proxy adds its members last, so what is at its
 * addresses is its own, whatever the sets say. A NodePort of kube-proxy's that is no longer at an address of this node cannot
 * be told from a foreign virtual server, and counts as one.
 */
export const ownVirtualServers = (
  family: Family,
  { members, deviceAddresses, localAddresses }: OwnershipFacts,
): ((id: VirtualServerId) => boolean) => {
  const local = new Set(localAddresses)
  const fronts = new Set<string>()
  const nodePorts = new Set<string>()
  const marks = new Set<number>()
  const bound = new Set<string>()
  for (const [role, found] of members)
    for (const member of found)
      if (role === 'NODE-PORT-TCP' || role === 'NODE-PORT-UDP') nodePorts.add(`${nodePortProtocol[role]} ${member}`)
      else if (role === 'INSIDE') marks.add(Number.parseInt(skbmark.exec(member)?.[1] ?? '0', 16))
      else if (role === 'IPVS-IPS') bound.add(member)
      else fronts.add(member)
  const known = new Set([...fronts].map((member) => member.slice(0, member.indexOf(','))))
  const device = new Set(
    members.has(weirsRole) ? [...deviceAddresses].filter((ip) => bound.has(ip) && !known.has(ip)) : deviceAddresses,
  )
  return (id) => {
    if (familyOfServer(id) !== family) return false
    if (id.kind === 'mark') return marks.has(id.mark)
    const { ip, protocol, port } = id
    return (
      device.has(ip) ||
      fronts.has(`${ip},${protocolWord[protocol]}:${port}`) ||
      (local.has(ip) && nodePorts.has(`${protocol} ${port}`))
    )
  }
}

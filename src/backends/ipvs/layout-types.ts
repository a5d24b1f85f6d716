import type { Member } from '../../kernel/ipset/member.ts'
import type { RealServer, VirtualServer } from '../../kernel/ipvs/ipvs.ts'
import type { IP } from '../../model/ip.ts'
import type { Port } from '../../model/port.ts'
import type { Protocol } from '../../model/protocol.ts'
import type { SetRole } from './sets.ts'

/** A virtual server without its identity. */
export type VirtualServerShape = Omit<VirtualServer, 'id'>

/** For everyone who comes to this address. */
export interface AddressServer {
  readonly protocol: Protocol
  readonly ip: IP
  readonly port: Port
  /** Yields to a server of another Service whose external IP is this node address, at the same port. */
  readonly nodePort: boolean
  readonly shape: VirtualServerShape
  /** Sorted as the state has its targets. Weight 0: drained; those come last. Servers of one layout share equal lists. */
  readonly realServers: readonly RealServer[]
}

/**
 * What pods and the node itself find behind external addresses of policy Local: every endpoint, while others find local
 * ones. Found by a mark that the set INSIDE gives to their first packets; which mark, the plan decides (marks.ts).
 */
export interface InsideServer {
  /** Addresses and ports, each a member of INSIDE. */
  readonly fronts: readonly { readonly protocol: Protocol; readonly ip: IP; readonly port: Port }[]
  readonly shape: VirtualServerShape
  readonly realServers: readonly RealServer[]
}

export interface SetElement {
  readonly set: SetRole
  readonly member: Member
}

/** Field and reason of a Problem with the Service. */
export interface LayoutProblem {
  readonly field: string
  readonly reason: string
}

/** Everything that one service port needs. */
export interface ServiceLayout {
  readonly servers: readonly AddressServer[]
  /** Only under externalTrafficPolicy Local, and there always. */
  readonly inside: InsideServer | undefined
  /** To be addresses of kube-ipvs0: those that no other interface has. Several service ports may name the same. */
  readonly addresses: readonly IP[]
  /** Without those of INSIDE. Several service ports may name the same. */
  readonly elements: readonly SetElement[]
  /** What the Service asks for and cannot have here. */
  readonly problems: readonly LayoutProblem[]
}

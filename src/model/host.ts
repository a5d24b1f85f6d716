import type { Cidr } from './cidr.ts'
import type { Family, IP } from './ip.ts'

/** How a packet of a local pod is told (kube-proxy's detect-local modes). */
export type LocalDetector =
  | { readonly kind: 'none' }
  | { readonly kind: 'cidr'; readonly cidr: Cidr }
  | { readonly kind: 'interface'; readonly name: string }
  | { readonly kind: 'interfacePrefix'; readonly prefix: string }

/** Which of the node's addresses take NodePort traffic. */
export type NodePortAddresses = { readonly kind: 'all' } | { readonly kind: 'some'; readonly addresses: readonly IP[] }

/** What the rules of one family depend on besides Services: the node, its addresses, the configuration. */
export interface HostState {
  readonly family: Family
  readonly detector: LocalDetector
  readonly masqueradeAll: boolean
  /** One bit, e.g. 0x4000. */
  readonly masqueradeMark: number
  readonly nodePortAddresses: NodePortAddresses
  readonly serviceCidrs: readonly Cidr[]
  /** Every address of this family on an interface of the node: the node's IP first, then sorted. */
  readonly addresses: readonly IP[]
}

import { assertNever } from '../model/assert-never.ts'
import { type Cidr, cidrFamily } from '../model/cidr.ts'
import type { LocalDetector } from '../model/host.ts'
import type { Family } from '../model/ip.ts'
import type { Node } from '../model/node.ts'

/** `detectLocalMode` with its argument. */
export type DetectLocal =
  | { readonly kind: 'ClusterCIDR'; readonly cidrs: readonly Cidr[] }
  | { readonly kind: 'NodeCIDR' }
  | { readonly kind: 'BridgeInterface'; readonly name: string }
  | { readonly kind: 'InterfaceNamePrefix'; readonly prefix: string }

/** The CIDR modes use the first CIDR of the family; without one they detect nothing. */
export const localDetector = (mode: DetectLocal, node: Node | undefined, family: Family): LocalDetector => {
  switch (mode.kind) {
    case 'ClusterCIDR':
      return firstOf(mode.cidrs, family)
    case 'NodeCIDR':
      return firstOf(node?.podCidrs ?? [], family)
    case 'BridgeInterface':
      return { kind: 'interface', name: mode.name }
    case 'InterfaceNamePrefix':
      return { kind: 'interfacePrefix', prefix: mode.prefix }
    default:
      return assertNever(mode, 'detect-local mode')
  }
}

const firstOf = (cidrs: readonly Cidr[], family: Family): LocalDetector => {
  const cidr = cidrs.find((candidate) => cidrFamily(candidate) === family)
  return cidr === undefined ? { kind: 'none' } : { kind: 'cidr', cidr }
}

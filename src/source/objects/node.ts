import { type Cidr, parseCidr } from '../../model/cidr.ts'
import type { IP } from '../../model/ip.ts'
import type { Node, ServiceCidr } from '../../model/node.ts'
import { fields, isUnset, quote } from './fields.ts'
import { readLabels, readMetadata, refOf } from './metadata.ts'
import type { Parsed } from './parsed.ts'
import { Place } from './place.ts'

const zoneLabel = 'topology.kubernetes.io/zone'
/** Set by the cluster autoscaler before it removes a node (KEP-3836). */
const leavingTaint = 'ToBeDeletedByClusterAutoscaler'

/** A core/v1 Node. */
export const parseNode = (json: unknown): Parsed<Node> => {
  const root = new Place(refOf('Node', json, false))
  return { value: readNode(root, json), problems: root.problems }
}

const readNode = (root: Place, json: unknown): Node | undefined => {
  const metadata = readMetadata(root, json, false)
  if (metadata === undefined) return undefined
  const object = fields<'spec' | 'status'>(json)
  const spec = root.map<'podCIDR' | 'podCIDRs' | 'taints'>('spec', object?.spec)
  const status = root.map<'addresses'>('status', object?.status)
  const label = `metadata.labels[${zoneLabel}]`
  const zone = root.text(label, readLabels<typeof zoneLabel>(root, metadata)?.[zoneLabel])
  return {
    name: metadata.name,
    addresses: readAddresses(root, status?.addresses),
    podCidrs: readPodCidrs(root, spec?.podCIDRs, spec?.podCIDR),
    zone: zone === '' ? undefined : zone,
    leaving: !isUnset(metadata.raw.deletionTimestamp) || hasLeavingTaint(root, spec?.taints),
  }
}

/** All InternalIPs come before all ExternalIPs; host names are not addresses. */
const readAddresses = (root: Place, value: unknown): readonly IP[] => {
  const internal = new Set<IP>()
  const external = new Set<IP>()
  root.list('status.addresses', value).forEach((item, i) => {
    const raw = fields<'type' | 'address'>(item)
    if (raw?.type !== 'InternalIP' && raw?.type !== 'ExternalIP') return
    const ip = root.item('status.addresses', i).address('address', raw.address)
    if (ip !== undefined) (raw.type === 'InternalIP' ? internal : external).add(ip)
  })
  return [...new Set([...internal, ...external])]
}

const readPodCidrs = (root: Place, list: unknown, single: unknown): readonly Cidr[] => {
  if (isUnset(list) && !isUnset(single)) return readCidrs(root, [single], () => 'spec.podCIDR')
  return readCidrs(root, root.list('spec.podCIDRs', list), (i) => `spec.podCIDRs[${i}]`)
}

const hasLeavingTaint = (root: Place, value: unknown): boolean =>
  root.list('spec.taints', value).some((taint) => fields<'key'>(taint)?.key === leavingTaint)

/** A networking.k8s.io ServiceCIDR. */
export const parseServiceCidr = (json: unknown): Parsed<ServiceCidr> => {
  const root = new Place(refOf('ServiceCIDR', json, false))
  const metadata = readMetadata(root, json, false)
  if (metadata === undefined) return { value: undefined, problems: root.problems }
  const spec = root.map<'cidrs'>('spec', fields<'spec'>(json)?.spec)
  const cidrs = readCidrs(root, root.list('spec.cidrs', spec?.cidrs), (i) => `spec.cidrs[${i}]`)
  return { value: { name: metadata.name, cidrs }, problems: root.problems }
}

const readCidrs = (root: Place, list: readonly unknown[], field: (index: number) => string): readonly Cidr[] => {
  const found = new Set<Cidr>()
  list.forEach((item, i) => {
    const cidr = typeof item === 'string' ? parseCidr(item) : undefined
    if (cidr !== undefined) found.add(cidr)
    else root.problem(field(i), `${quote(item)} is not a network such as 10.0.0.0/24, so it is left out`)
  })
  return [...found]
}

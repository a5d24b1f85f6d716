import type { Config } from '../config/config.ts'
import { type NodeIPs, nodeIPs } from '../desired/node-ips.ts'
import { type Cidr, cidrFamily } from '../model/cidr.ts'
import { type Family, familyOf, type IP } from '../model/ip.ts'
import type { Node } from '../model/node.ts'
import { FatalError } from './fatal.ts'

type Settings = Pick<
  Config,
  'nodeIPOverride' | 'detectLocal' | 'nodePortAddresses' | 'requestedMode' | 'healthz' | 'metrics'
>

/**
 * Compares what was configured with the node's primary IP family, as kube-proxy does at start (checkBadConfig and
 * checkBadIPConfig in cmd/kube-proxy/app/server.go). Returns a line for each mismatch that a node can live with.
 *
 * @param served the families that the node can use: both, or IPv4
 * @throws FatalError when the primary family is not served, or pods could not be told from the rest of the world
 */
export const checkFamilies = (
  config: Settings,
  served: readonly Family[],
  node: Node | undefined,
): readonly string[] => {
  const { primary } = nodeIPs(config.nodeIPOverride, node)
  if (!served.includes(primary)) throw new FatalError(`no support for primary IP family ${primary}`)
  const dual = served.length === 2
  const cluster = `the cluster is ${primary}-${dual ? 'primary' : 'only'}`
  const { mode, clusterCidrs } = config.detectLocal
  const podCidrs = mode === 'NodeCIDR' ? (node?.podCidrs ?? []) : []
  const lines: string[] = []
  if (lacks(clusterCidrs, primary)) {
    const line = `${cluster}, but clusterCIDR holds only ${other(primary)} networks`
    if (!dual) throw new FatalError(line)
    lines.push(line)
  }
  if (lacks(podCidrs, primary))
    throw new FatalError(`${cluster}, but the podCIDRs of the Node are only ${other(primary)} networks`)
  if (!dual) {
    for (const name of ['healthz', 'metrics'] as const)
      if (isForeign(config[name]?.ip, primary)) lines.push(`${cluster}, but ${name}BindAddress is ${other(primary)}`)
  }
  return [...lines, ...nodePortLines(config, primary, isDual(clusterCidrs) || isDual(podCidrs))]
}

const nodePortLines = (
  { nodePortAddresses, requestedMode }: Settings,
  primary: NodeIPs['primary'],
  dualStack: boolean,
): readonly string[] => {
  if (nodePortAddresses.kind === 'unset' && (requestedMode === 'iptables' || requestedMode === 'ipvs'))
    return ['nodePortAddresses is unset, so NodePorts are accepted on every address: consider "primary"']
  if (nodePortAddresses.kind !== 'cidrs') return []
  const found = new Set(nodePortAddresses.cidrs.map(cidrFamily))
  const [only] = found
  if (found.size !== 1 || only === undefined) return []
  const consequence = `so NodePorts are accepted on every ${other(only)} address`
  if (dualStack) return [`the cluster is dual-stack, but nodePortAddresses holds only ${only} networks, ${consequence}`]
  if (only === primary) return []
  return [`the cluster is ${primary}-primary, but nodePortAddresses holds only ${only} networks, ${consequence}`]
}

const other = (family: Family): Family => (family === 'IPv4' ? 'IPv6' : 'IPv4')

/** There are networks, and none of them is of this family. */
const lacks = (cidrs: readonly Cidr[], family: Family): boolean =>
  cidrs.length > 0 && cidrs.every((cidr) => cidrFamily(cidr) !== family)

const isDual = (cidrs: readonly Cidr[]): boolean => new Set(cidrs.map(cidrFamily)).size === 2

/** A wildcard accepts both families. */
const isForeign = (ip: IP | undefined, primary: Family): boolean =>
  ip !== undefined && ip !== '0.0.0.0' && ip !== '::' && familyOf(ip) !== primary

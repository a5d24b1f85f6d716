import { type Cidr, cidrFamily, mergeCidrs } from '../model/cidr.ts'
import type { HostState } from '../model/host.ts'
import { type Family, type IP, isFamily } from '../model/ip.ts'
import type { Node } from '../model/node.ts'
import { type DetectLocal, localDetector } from './detect-local.ts'
import { nodeIPs } from './node-ips.ts'
import { type NodePortSelector, nodePortAddresses } from './node-port-addresses.ts'

/** The part of the configuration that host state depends on. */
export interface HostSettings {
  readonly bindAddress: IP | undefined
  readonly nodePortAddresses: NodePortSelector
  /** The backend serves NodePorts on IPv4 loopback addresses (iptables with localhostNodePorts; not nftables). */
  readonly loopbackNodePorts: boolean
  readonly detectLocal: DetectLocal
  readonly masqueradeAll: boolean
  /** 0 to 31. */
  readonly masqueradeBit: number
}

/** What was found on the node and in the API. */
export interface HostFacts {
  readonly node: Node | undefined
  /** Every address of every interface, both families. */
  readonly interfaceAddresses: Iterable<IP>
  /** Both families. */
  readonly serviceCidrs: readonly Cidr[]
}

export const hostState = (settings: HostSettings, facts: HostFacts, family: Family): HostState => {
  const { node, interfaceAddresses, serviceCidrs } = facts
  const ips = nodeIPs(settings.bindAddress, node)
  const addresses = [...interfaceAddresses]
  return {
    family,
    detector: localDetector(settings.detectLocal, node, family),
    masqueradeAll: settings.masqueradeAll,
    masqueradeMark: (1 << settings.masqueradeBit) >>> 0,
    nodePortAddresses: nodePortAddresses(
      settings.nodePortAddresses,
      ips,
      addresses,
      family,
      // The kernel sends nothing from ::1 elsewhere, and has no switch for it as IPv4 has.
      settings.loopbackNodePorts && family === 'IPv4',
    ),
    serviceCidrs: mergeCidrs(serviceCidrs.filter((cidr) => cidrFamily(cidr) === family)),
    addresses: ownAddresses(addresses, ips[family], family),
  }
}

const ownAddresses = (all: readonly IP[], nodeIP: IP | undefined, family: Family): readonly IP[] => {
  const found = new Set(all.filter((ip) => isFamily(ip, family)))
  const first = nodeIP !== undefined && found.delete(nodeIP) ? [nodeIP] : []
  return [...first, ...[...found].sort()]
}

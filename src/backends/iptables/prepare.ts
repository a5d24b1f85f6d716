import { isLoopback } from '../../desired/node-ips.ts'
import type { NodePortSelector } from '../../desired/node-port-addresses.ts'
import type { Nfacct } from '../../kernel/nfacct/nfacct.ts'
import { ensureInteger, readInteger, type Sysctl } from '../../kernel/sysctl/sysctl.ts'
import { cidrAddress, cidrContains, cidrFamily } from '../../model/cidr.ts'
import { parseIP } from '../../model/ip.ts'

export interface PrepareOptions {
  /** IPv4 can be served, and NodePorts are to answer on its loopback addresses. */
  readonly localhostNodePorts: boolean
  readonly nodePortAddresses: NodePortSelector
  readonly sysctl: Sysctl
  /** Undefined where there is none to be had. */
  readonly nfacct: Nfacct | undefined
}

/** What the rules depend on besides the configuration, see IptablesSettings. */
export interface NodeFacts {
  readonly dropInvalid: boolean
  readonly nfacct: boolean
  /** Packets to loopback addresses may now leave the node, as localhost NodePorts need. */
  readonly routeLocalnet: boolean
}

/** Packets that conntrack calls INVALID. */
export const invalidDropped = 'ct_state_invalid_dropped_pkts'
/** Packets to NodePorts on loopback addresses. */
export const localhostAccepted = 'localhost_nps_accepted_pkts'

const routeLocalnet = 'net/ipv4/conf/all/route_localnet'
const tcpBeLiberal = 'net/netfilter/nf_conntrack_tcp_be_liberal'

/**
 * Sets up what kube-proxy does at start in iptables mode. What is right already is not written. Idempotent; nothing of
 * it is ever taken back.
 *
 * @throws SysctlError when route_localnet is needed and cannot be set
 */
export const prepareNode = async (options: PrepareOptions, signal: AbortSignal): Promise<NodeFacts> => {
  const { sysctl, nfacct, localhostNodePorts, nodePortAddresses } = options
  const needsLocalnet = localhostNodePorts && coverLoopback(nodePortAddresses)
  if (needsLocalnet) await ensureInteger(sysctl, routeLocalnet, 1, signal)
  return {
    dropInvalid: !(await isLiberal(sysctl, signal)),
    nfacct: await countPackets(nfacct, signal),
    routeLocalnet: needsLocalnet,
  }
}

const loopbackStart = parseIP('127.0.0.0')

/** Whether NodePorts on 127.0.0.0/8 are asked for. A list without any IPv4 network accepts every IPv4 address. */
export const coverLoopback = (selector: NodePortSelector): boolean => {
  if (selector === 'primary') return false
  const cidrs = selector.filter((cidr) => cidrFamily(cidr) === 'IPv4')
  if (cidrs.length === 0) return true
  return cidrs.some(
    (cidr) => isLoopback(cidrAddress(cidr)) || (loopbackStart !== undefined && cidrContains(cidr, loopbackStart)),
  )
}

/** A kernel that does not tell has no reason to be lenient. */
const isLiberal = async (sysctl: Sysctl, signal: AbortSignal): Promise<boolean> => {
  try {
    return (await readInteger(sysctl, tcpBeLiberal, signal)) !== 0
  } catch {
    signal.throwIfAborted()
    return false
  }
}

/** Counting is a convenience: without it the rules are the same, only uncounted. */
const countPackets = async (nfacct: Nfacct | undefined, signal: AbortSignal): Promise<boolean> => {
  try {
    if (nfacct === undefined || !(await nfacct.supported(signal))) return false
    for (const name of [invalidDropped, localhostAccepted]) await nfacct.ensure(name, signal)
    return true
  } catch {
    signal.throwIfAborted()
    return false
  }
}

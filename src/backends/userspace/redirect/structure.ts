import { assertNever } from '../../../model/assert-never.ts'
import { cidrAddress, cidrBits, cidrFamily, maxBits } from '../../../model/cidr.ts'
import type { HostState, LocalDetector } from '../../../model/host.ts'
import { tableFamily } from './schema.ts'

export const refuseChain = 'refuse'

export interface Chain {
  readonly name: string
  /** The line about hook and priority; undefined for a chain that others jump to. */
  readonly hook: string | undefined
  readonly rules: readonly string[]
}

/** `!=` and what is not a pod's; '' where pods cannot be told, so that nobody is taken for one. */
const notFromPod = (detector: LocalDetector, word: string): string => {
  switch (detector.kind) {
    case 'none':
      return ''
    case 'cidr': {
      const { cidr } = detector
      const single = cidrBits(cidr) === maxBits(cidrFamily(cidr))
      return `${word} saddr != ${single ? cidrAddress(cidr) : cidr} `
    }
    case 'interface':
      return `iifname != "${detector.name}" `
    case 'interfacePrefix':
      return `iifname != "${detector.prefix}*" `
    default:
      return assertNever(detector, 'detector')
  }
}

/**
 * What no Service changes. Who may not come in is turned away before the translation, while the packet's destination is
 * still what the client asked for; priorities are those of mode nftables. Only the first packet of a connection is
 * looked at.
 */
export const chainsOf = ({ family, detector, nodePortAddresses }: HostState): readonly Chain[] => {
  const ip = tableFamily(family)
  const server = `${ip} daddr . meta l4proto . th dport`
  const nodePort = 'meta l4proto . th dport'
  // S2.7: of loopback addresses, those of IPv4 only.
  const everyAddress = `fib daddr type local${family === 'IPv6' ? ' ip6 daddr != ::1' : ''}`
  const onNode = nodePortAddresses.kind === 'all' ? everyAddress : `${ip} daddr @nodeport-ips`
  const outside = notFromPod(detector, ip)
  const base = (type: string, hook: string, priority: string): string =>
    `type ${type} hook ${hook} priority ${priority}; policy accept;`
  const chain = (name: string, hook: string | undefined, ...rules: readonly string[]): Chain => ({ name, hook, rules })
  return [
    chain(
      'filter-prerouting',
      base('filter', 'prerouting', '-110'),
      // What the node sends to itself has been looked at on its way out.
      'iifname "lo" accept',
      'ct state new jump check-sources',
      `${outside}ct state new jump check-outside`,
      'ct state new jump check-endpoints',
    ),
    chain(
      'filter-output',
      base('filter', 'output', '-110'),
      'ct state new jump check-sources',
      'ct state new jump check-endpoints',
    ),
    chain('filter-input', base('filter', 'input', '-10'), `${server} @listeners jump only-translated`),
    chain('nat-prerouting', base('nat', 'prerouting', '-100'), `${outside}jump from-outside`, 'jump to-listeners'),
    // The connections of this process to an endpoint that has the address and port of a Service would come back to it.
    chain('nat-output', base('nat', 'output', '-100'), `${server} @own-endpoints accept`, 'jump to-listeners'),
    chain('check-sources', undefined, `${server} @guarded-services ${server} . ${ip} saddr != @allowed-sources drop`),
    chain(
      'check-outside',
      undefined,
      `${server} vmap @outside-refused-services`,
      `${onNode} ${nodePort} vmap @outside-refused-nodeports`,
    ),
    chain(
      'check-endpoints',
      undefined,
      `${server} vmap @refused-services`,
      `${onNode} ${nodePort} vmap @refused-nodeports`,
    ),
    chain(
      'from-outside',
      undefined,
      `dnat ${ip} to ${server} map @outside-services`,
      `${onNode} dnat ${ip} to ${nodePort} map @outside-nodeports`,
    ),
    chain(
      'to-listeners',
      undefined,
      `dnat ${ip} to ${server} map @services`,
      `${onNode} dnat ${ip} to ${nodePort} map @nodeports`,
    ),
    chain('only-translated', undefined, 'ct status dnat return', 'drop'),
    chain(refuseChain, undefined, 'reject'),
  ]
}

import { hash } from 'node:crypto'
import type { ServiceState, Target } from '../../model/desired.ts'
import { protocolWord } from '../../model/protocol.ts'

/**
 * The chains that a service port can have: endpoints under policy Cluster (SVC) and Local (SVL), external destinations
 * (EXT), source ranges (FW).
 */
export type ServiceChainKind = 'SVC' | 'SVL' | 'EXT' | 'FW'

/** What kube-proxy's chain names are made from. */
export type NamedServicePort = Pick<ServiceState, 'name' | 'protocol'>
export type Address = Pick<Target, 'ip' | 'port'>

/** E.g. `KUBE-SVC-NPX46M4PTMTKRN6Y`, as kube-proxy computes it (servicePortChainName and its kin). */
export const serviceChain = (kind: ServiceChainKind, { name, protocol }: NamedServicePort): string =>
  `KUBE-${kind}-${shortHash(name + protocolWord[protocol])}`

/** `KUBE-SEP-…`, kube-proxy's name for an endpoint of a service port; lists of clients (xt_recent) have it too. */
export const endpointChain = ({ name, protocol }: NamedServicePort, target: Address): string =>
  `KUBE-SEP-${shortHash(name + protocolWord[protocol] + addressText(target))}`

/** `10.0.0.1:80` or `[fd00::1]:80`. */
export const addressText = ({ ip, port }: Address): string => (ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`)

/** RFC 4648 §6. */
const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'

/** The first 16 characters of Base32 of SHA-256: 80 bits, taken 20 at a time. */
export const shortHash = (text: string): string => {
  const digest = hash('sha256', text, 'binary')
  let short = ''
  for (let at = 0; at < 10; at += 5) {
    const middle = digest.charCodeAt(at + 2)
    short += fourDigits((digest.charCodeAt(at) << 12) | (digest.charCodeAt(at + 1) << 4) | (middle >> 4))
    short += fourDigits(((middle & 15) << 16) | (digest.charCodeAt(at + 3) << 8) | digest.charCodeAt(at + 4))
  }
  return short
}

const fourDigits = (bits: number): string =>
  alphabet.charAt(bits >> 15) +
  alphabet.charAt((bits >> 10) & 31) +
  alphabet.charAt((bits >> 5) & 31) +
  alphabet.charAt(bits & 31)

import { assertNever } from '../../model/assert-never.ts'
import type { ServiceState } from '../../model/desired.ts'
import type { LocalDetector } from '../../model/host.ts'
import { addressBytes, type Family, familyOf, type IP, writeIP } from '../../model/ip.ts'
import type { Port } from '../../model/port.ts'
import { type Protocol, protocolWord } from '../../model/protocol.ts'
import { protocolDigit } from './protocol-digit.ts'
import { type SetRole, setName } from './sets.ts'
import type { IptablesSettings } from './settings.ts'

/** Arguments of a rule, before {@link ruleText} quotes them. */
export type Words = readonly string[]

export const commentWords = (comment: string): Words => ['-m', 'comment', '--comment', comment]

/** The destination of a packet to one address of a service port. */
export const serverWords = ({ protocol, port }: ServiceState, ip: IP): Words => {
  const p = protocolWord[protocol]
  return ['-m', p, '-p', p, '-d', ip, '--dport', String(port)]
}

export const portWords = (protocol: Protocol, port: Port): Words => {
  const p = protocolWord[protocol]
  return ['-m', p, '-p', p, '--dport', String(port)]
}

/** Matches packets of local pods, or with `not` all others. Undefined when pods cannot be told. */
export const podWords = (detector: LocalDetector, not: '' | '!' = ''): Words | undefined => {
  const sense = not === '' ? [] : [not]
  switch (detector.kind) {
    case 'none':
      return undefined
    case 'cidr':
      return [...sense, '-s', detector.cidr]
    case 'interface':
      return [...sense, '-i', detector.name]
    case 'interfacePrefix':
      return [...sense, '-i', `${detector.prefix}+`]
    default:
      return assertNever(detector, 'detector')
  }
}

/** `0x00004000`, as kube-proxy writes it. */
export const markText = (mark: number): string => `0x${mark.toString(16).padStart(8, '0')}`

/** Key of an entry: see {@link Entry}. */
export const serverKey = ({ protocol, port }: ServiceState, ip: IP): string => {
  const bytes = Buffer.alloc(addressBytes(familyOf(ip)))
  writeIP(ip, bytes, 0)
  return bytes.toString('hex') + portKey(protocol, port)
}

export const portKey = (protocol: Protocol, port: Port): string =>
  protocolDigit[protocol] + port.toString(16).padStart(4, '0')

/** NodePort packets that arrived on a loopback address are counted (kube-proxy's metric of the same name). */
export const localhostCounter: Words = ['-m', 'nfacct', '--nfacct-name', 'localhost_nps_accepted_pkts']

export const countsLocalhost = ({ localhostNodePorts, family, nfacct }: IptablesSettings): boolean =>
  localhostNodePorts && family === 'IPv4' && nfacct

/** `dirs`: which address and port of the packet each field of the set's members is compared with. */
export const setWords = (role: SetRole, family: Family, dirs: string): Words => [
  '-m',
  'set',
  '--match-set',
  setName(role, family),
  dirs,
]

import type { ServiceState } from '../../model/desired.ts'
import { addressBytes, type Family, familyOf, type IP, writeIP } from '../../model/ip.ts'
import type { Port } from '../../model/port.ts'
import { type Protocol, protocolWord } from '../../model/protocol.ts'
import { matchSet, type Words } from '../rules/rule-words.ts'
import { protocolDigit } from './protocol-digit.ts'
import { type SetRole, setName } from './sets.ts'
import type { IptablesSettings } from './settings.ts'

/** The destination of a packet to one address of a service port. */
export const serverWords = ({ protocol, port }: ServiceState, ip: IP): Words => {
  const p = protocolWord[protocol]
  return ['-m', p, '-p', p, '-d', ip, '--dport', String(port)]
}

export const portWords = (protocol: Protocol, port: Port): Words => {
  const p = protocolWord[protocol]
  return ['-m', p, '-p', p, '--dport', String(port)]
}

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

/** `dirs`: see {@link matchSet}. */
export const setWords = (role: SetRole, family: Family, dirs: string): Words => matchSet(setName(role, family), dirs)

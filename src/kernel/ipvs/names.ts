import { assertNever } from '../../model/assert-never.ts'
import { byteMask } from '../../model/cidr.ts'
import { type IP, readIP } from '../../model/ip.ts'
import type { Protocol } from '../../model/protocol.ts'
import {
  type Forwarding,
  familyOfServer,
  type IpvsChange,
  type RealServer,
  type VirtualServer,
  type VirtualServerFlag,
  type VirtualServerId,
} from './ipvs.ts'

const protocolOption = { TCP: '-t', UDP: '-u', SCTP: '--sctp-service' } as const satisfies Record<Protocol, string>

/** `10.0.0.1:80`, `[2001:db8::1]:53`. */
export const hostPort = (ip: IP, port: number): string => `${ip.includes(':') ? `[${ip}]` : ip}:${port}`

/** `-t 10.0.0.1:80`, `-f 7 -6`: how ipvsadm names a virtual server. No two have the same. */
export const virtualServerName = (id: VirtualServerId): string => {
  if (id.kind === 'address') return `${protocolOption[id.protocol]} ${hostPort(id.ip, id.port)}`
  return id.family === 'IPv4' ? `-f ${id.mark}` : `-f ${id.mark} -6`
}

/**
 * As `ipvsadm -Sn` prints it and `ipvsadm -R` reads it: `-A -t 10.0.0.1:80 -s rr -p 10800`. Different are marks from 2^31
 * on, which ipvsadm prints as negative numbers and then does not take, and the third flag of sh and mh, which it leaves out.
 */
export const virtualServerLine = (server: VirtualServer): string => `-A ${virtualServerName(server.id)}${shape(server)}`

/**
 * `-a -t 10.0.0.1:80 -r 10.1.0.1:8080 -m -w 1`. With the thresholds, which `ipvsadm -Sn` leaves out. Restoring it makes of
 * `direct` and `tunnel` the port of the virtual server, as ipvsadm does.
 */
export const realServerLine = (id: VirtualServerId, server: RealServer): string =>
  `-a ${virtualServerName(id)}${realServerWords(server)}`

/** What a change would be as a line of `ipvsadm -R`; for logs and errors. */
export const changeLine = (change: IpvsChange): string => {
  switch (change.kind) {
    case 'addVirtualServer':
    case 'setVirtualServer':
      return `${change.kind === 'addVirtualServer' ? '-A' : '-E'} ${virtualServerName(change.server.id)}${shape(change.server)}`
    case 'deleteVirtualServer':
      return `-D ${virtualServerName(change.id)}`
    case 'addRealServer':
    case 'setRealServer':
      return `${change.kind === 'addRealServer' ? '-a' : '-e'} ${virtualServerName(change.id)}${realServerWords(change.server)}`
    case 'deleteRealServer':
      return `-d ${virtualServerName(change.id)} -r ${hostPort(change.server.ip, change.server.port)}`
    default:
      return assertNever(change, 'IPVS change')
  }
}

const shape = ({ id, scheduler, flags, persistenceSeconds, persistencePrefix }: VirtualServer): string => {
  const isIPv4 = familyOfServer(id) === 'IPv4'
  const words = ['', '-s', scheduler]
  if (flags.includes('persistent')) {
    words.push('-p', String(persistenceSeconds))
    if (persistencePrefix !== (isIPv4 ? 32 : 128))
      words.push('-M', isIPv4 ? ipv4Mask(persistencePrefix) : String(persistencePrefix))
  }
  if (flags.includes('onePacket')) words.push('-o')
  const names = flags.flatMap((flag) => schedulerFlagName(scheduler, flag) ?? [])
  if (names.length > 0) words.push('-b', names.join(','))
  return words.join(' ')
}

const ipv4Mask = (prefix: number): IP =>
  readIP(
    'IPv4',
    Uint8Array.from({ length: 4 }, (_, i) => byteMask(prefix, i)),
    0,
  )

const plainNames: Partial<Record<VirtualServerFlag, string>> = { sched1: 'flag-1', sched2: 'flag-2', sched3: 'flag-3' }
const hashNames: Partial<Record<VirtualServerFlag, string>> = { sched1: 'fallback', sched2: 'port' }

/** sh and mh have words for theirs. Undefined for flags that are not a scheduler's. */
const schedulerFlagName = (scheduler: string, flag: VirtualServerFlag): string | undefined => {
  const word = scheduler === 'sh' || scheduler === 'mh' ? hashNames[flag] : undefined
  return word === undefined ? plainNames[flag] : `${scheduler}-${word}`
}

/** `local` and `bypass` have no option, because nobody asks for them; ipvsadm prints them so. */
const forwardingOption: Readonly<Record<Forwarding, string>> = {
  masquerade: '-m',
  direct: '-g',
  tunnel: '-i',
  local: '-g',
  bypass: '-g',
}

const realServerWords = ({ ip, port, forwarding, weight, upperThreshold, lowerThreshold }: RealServer): string => {
  const words = ['', '-r', hostPort(ip, port), forwardingOption[forwarding], '-w', String(weight)]
  if (forwarding === 'tunnel') words.push('--tun-type', 'ipip')
  if (upperThreshold > 0) words.push('-x', String(upperThreshold))
  if (lowerThreshold > 0) words.push('-y', String(lowerThreshold))
  return words.join(' ')
}

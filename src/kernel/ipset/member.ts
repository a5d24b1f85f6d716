import type { Brand } from '../../model/brand.ts'
import type { Cidr } from '../../model/cidr.ts'
import type { IP } from '../../model/ip.ts'
import type { Port } from '../../model/port.ts'
import { type Protocol, protocolWord } from '../../model/protocol.ts'

/**
 * A member of a set in ipset's own words, e.g. `10.96.0.1,tcp:80` or `30080`, as `ipset save` prints it. Different from
 * it are protocols that no Service has, whose number stands for them: `10.96.0.1,1:2048` for `icmp:echo-request`.
 */
export type Member = Brand<string, 'IpsetMember'>

export const ipPort = (ip: IP, protocol: Protocol, port: Port): Member =>
  `${ip},${protocolWord[protocol]}:${port}` as Member

export const ipPortIp = (ip: IP, protocol: Protocol, port: Port, other: IP): Member =>
  `${ipPort(ip, protocol, port)},${other}` as Member

/**
 * The network is printed without its length when it is a single address. The kernel takes no network of length 0
 * (IPSET_ERR_INVALID_CIDR); the two halves of length 1 say the same.
 */
export const ipPortNet = (ip: IP, protocol: Protocol, port: Port, net: Cidr): Member =>
  `${ipPort(ip, protocol, port)},${net.replace(/^(.*\..*)\/32$|^(.*:.*)\/128$/, '$1$2')}` as Member

export const portMember = (port: Port): Member => String(port) as Member

export const ipMember = (ip: IP): Member => ip as string as Member

/** For sets with marks: packets that the rule `SET --map-mark` finds by this member get `mark`, all 32 bits of it. */
export const ipPortMark = (ip: IP, protocol: Protocol, port: Port, mark: number): Member =>
  `${ipPort(ip, protocol, port)}${markWord}0x${mark.toString(16)}` as Member

/** Begins what follows the member in its text. */
export const markWord = ' skbmark '

/** The text without its mark: what the kernel tells members apart by. */
export const withoutMark = (member: Member): Member => {
  const end = member.indexOf(markWord)
  return end < 0 ? member : (member.slice(0, end) as Member)
}

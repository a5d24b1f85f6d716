import { type Family, type IP, readIP } from '../../model/ip.ts'
import { malformed } from '../netlink/error.ts'
import type { MessageReader, Reader } from '../netlink/wire.ts'
import { isLoopback } from './address-list.ts'
import type { AddressScope, InterfaceAddress, Link } from './interface-address.ts'

/** linux/rtnetlink.h */
export const RTM_NEWLINK = 16
export const RTM_DELLINK = 17
export const RTM_GETLINK = 18
export const RTM_NEWADDR = 20
export const RTM_DELADDR = 21
export const RTM_GETADDR = 22
export const RTNLGRP_LINK = 1
export const RTNLGRP_IPV4_IFADDR = 5
export const RTNLGRP_IPV6_IFADDR = 9

/** sizeof(struct ifinfomsg): family, pad, type, index, flags, change. */
export const ifinfomsgLength = 16
/** sizeof(struct ifaddrmsg): family, prefix length, flags, scope, index. */
export const ifaddrmsgLength = 8

export const IFLA_IFNAME = 3
export const IFLA_LINKINFO = 18
/** Inside IFLA_LINKINFO. */
export const IFLA_INFO_KIND = 1
/** linux/if.h */
export const IFF_UP = 1
export const IFA_ADDRESS = 1
export const IFA_LOCAL = 2
export const IFA_CACHEINFO = 6
export const IFA_FLAGS = 8
/** linux/rtnetlink.h */
export const RT_SCOPE_UNIVERSE = 0
export const RT_SCOPE_HOST = 254
/** linux/if_addr.h: no duplicate address detection. */
export const IFA_F_NODAD = 0x02
/** linux/if_addr.h: no route for the address's prefix. */
export const IFA_F_NOPREFIXROUTE = 0x200

const AF_UNSPEC = 0
export const AF_INET = 2
export const AF_INET6 = 10

/** Bytes for events that wait: one takes about 1 KiB, and one datagram can change a thousand addresses. */
export const eventBuffer = 1 << 22

/** The interface that an RTM_*LINK or RTM_*ADDR is about: at the same place in both headers. */
export const readIndex = (message: MessageReader): number => message.u32host(4)

const scopes: Readonly<Record<number, AddressScope>> = {
  0: 'global',
  200: 'site',
  253: 'link',
  254: 'host',
  255: 'nowhere',
}

/** Reads an RTM_NEWLINK or RTM_DELLINK. Undefined for one that is not about an interface, e.g. a bridge's port. */
export const readLink = (message: MessageReader): Link | undefined => {
  const attributes = message.attributes(ifinfomsgLength)
  if (message.bytes[message.start] !== AF_UNSPEC) return undefined
  const up = (message.u32host(8) & IFF_UP) !== 0
  let name: string | undefined
  let kind: string | undefined
  while (attributes.next()) {
    if (attributes.type === IFLA_IFNAME) name = attributes.string()
    else if (attributes.type === IFLA_LINKINFO) kind = readKind(attributes.nested())
  }
  return name === undefined ? undefined : { name, index: readIndex(message), kind, up }
}

const readKind = (info: Reader): string | undefined => {
  let kind: string | undefined
  while (info.next()) if (info.type === IFLA_INFO_KIND) kind = info.string()
  return kind
}

/** Reads an RTM_NEWADDR; the interface's name comes from elsewhere. Undefined for families other than IP. */
export const readAddress = (message: MessageReader): Omit<InterfaceAddress, 'interface'> | undefined => {
  const attributes = message.attributes(ifaddrmsgLength)
  const family = familyOfNumber(message.bytes[message.start])
  if (family === undefined) return undefined
  let ip: IP | undefined
  while (attributes.next()) {
    // With a peer, IFA_ADDRESS is the peer's and IFA_LOCAL ours; without one only the former need be there.
    if (attributes.type !== IFA_LOCAL && (attributes.type !== IFA_ADDRESS || ip !== undefined)) continue
    if (attributes.end - attributes.start !== (family === 'IPv4' ? 4 : 16)) throw malformed('address of a wrong length')
    ip = readIP(family, attributes.bytes, attributes.start)
  }
  if (ip === undefined) return undefined
  const scope = scopes[message.bytes[message.start + 3] ?? 0] ?? 'other'
  return { ip, family, index: readIndex(message), scope, loopback: isLoopback(ip) }
}

export const familyOfNumber = (number: number | undefined): Family | undefined => {
  if (number === AF_INET) return 'IPv4'
  return number === AF_INET6 ? 'IPv6' : undefined
}

import { NLM_F_CREATE, NLM_F_EXCL } from '../../src/kernel/netlink/constants.ts'
import type { Request } from '../../src/kernel/netlink/request.ts'
import { littleEndian, type MessageReader, type Writer } from '../../src/kernel/netlink/wire.ts'

/** linux/rtnetlink.h, linux/if_link.h */
export const RTM_NEWLINK = 16
const RTM_DELLINK = 17
export const RTM_GETLINK = 18
export const RTNLGRP_LINK = 1
const IFLA_IFNAME = 3
const IFLA_LINKINFO = 18
const IFLA_INFO_KIND = 1
/** struct ifinfomsg */
const IFINFOMSG_LEN = 16

export const linkBody =
  (name: string, kind?: string) =>
  (writer: Writer): void => {
    writer.reserve(IFINFOMSG_LEN)
    writer.string(IFLA_IFNAME, name)
    if (kind === undefined) return
    const info = writer.nest(IFLA_LINKINFO)
    writer.string(IFLA_INFO_KIND, kind)
    writer.endNest(info)
  }

export const addLink = (name: string, kind = 'bridge'): Request => ({
  op: `add link ${name}`,
  type: RTM_NEWLINK,
  flags: NLM_F_CREATE | NLM_F_EXCL,
  body: linkBody(name, kind),
})

export const deleteLink = (name: string): Request => ({
  op: `delete link ${name}`,
  type: RTM_DELLINK,
  body: linkBody(name),
})

export const getLink = (name: string): Request => ({ op: `get link ${name}`, type: RTM_GETLINK, body: linkBody(name) })

export const listLinks: Request = {
  op: 'list links',
  type: RTM_GETLINK,
  body: (writer) => void writer.reserve(IFINFOMSG_LEN),
}

export const linkName = (message: MessageReader): string => {
  const attributes = message.attributes(IFINFOMSG_LEN)
  while (attributes.next()) if (attributes.type === IFLA_IFNAME) return attributes.string()
  return ''
}

export const RTM_NEWADDR = 20
const RTM_DELADDR = 21
const RTM_GETADDR = 22
export const RTNLGRP_IPV4_IFADDR = 5
const AF_INET = 2
const IFA_LOCAL = 2
/** struct ifaddrmsg */
const IFADDRMSG_LEN = 8
const loopback = 1

const addressBody =
  (last: number) =>
  (writer: Writer): void => {
    const at = writer.reserve(IFADDRMSG_LEN)
    writer.view.setUint8(at, AF_INET)
    writer.view.setUint8(at + 1, 32)
    writer.view.setUint32(at + 4, loopback, littleEndian)
    writer.u32be(IFA_LOCAL, 0x0a_00_00_00 + last)
  }

/** 10.0.0.0 plus `last`, on lo: the quickest of all changes that make an event. */
export const addAddress = (last: number): Request => ({
  op: `add address ${last}`,
  type: RTM_NEWADDR,
  flags: NLM_F_CREATE | NLM_F_EXCL,
  body: addressBody(last),
})

export const deleteAddress = (last: number): Request => ({
  op: `delete address ${last}`,
  type: RTM_DELADDR,
  body: addressBody(last),
})

export const listAddresses: Request = {
  op: 'list addresses',
  type: RTM_GETADDR,
  body: (writer) => {
    const at = writer.reserve(IFADDRMSG_LEN)
    writer.view.setUint8(at, AF_INET)
  },
}

/** As {@link addAddress} counts them; -1 for those that are not of 10/8. */
export const addressNumber = (message: MessageReader): number => {
  const attributes = message.attributes(IFADDRMSG_LEN)
  while (attributes.next()) {
    if (attributes.type !== IFA_LOCAL) continue
    const address = attributes.u32be()
    return address >>> 24 === 10 ? address & 0xff_ff_ff : -1
  }
  return -1
}

export const numbers = (count: number, from = 1): readonly number[] => Array.from({ length: count }, (_, i) => from + i)

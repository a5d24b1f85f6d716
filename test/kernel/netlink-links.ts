import type { Request } from '../../src/kernel/netlink/connection.ts'
import { NLM_F_CREATE, NLM_F_EXCL } from '../../src/kernel/netlink/constants.ts'
import type { MessageReader, Writer } from '../../src/kernel/netlink/wire.ts'

/** linux/rtnetlink.h, linux/if_link.h */
export const RTM_NEWLINK = 16
export const RTM_DELLINK = 17
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

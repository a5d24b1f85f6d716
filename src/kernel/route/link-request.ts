import { NLM_F_CREATE, NLM_F_EXCL } from '../netlink/constants.ts'
import { KernelError } from '../netlink/error.ts'
import type { Request } from '../netlink/request.ts'
import { littleEndian, type Writer } from '../netlink/wire.ts'
import type { Link } from './interface-address.ts'
import {
  IFF_UP,
  IFLA_IFNAME,
  IFLA_INFO_KIND,
  IFLA_LINKINFO,
  ifinfomsgLength,
  RTM_GETLINK,
  RTM_NEWLINK,
} from './rtnetlink.ts'

/** Where the fields of struct ifinfomsg are. */
const indexAt = 4
const flagsAt = 8
const changeAt = 12

const writeUp = (writer: Writer, at: number): void => {
  writer.view.setUint32(at + flagsAt, IFF_UP, littleEndian)
  writer.view.setUint32(at + changeAt, IFF_UP, littleEndian)
}

/** Makes a dummy device that is up; EEXIST when there is a device of that name. */
export const dummyRequest = (name: string): Request => ({
  op: `create dummy ${name}`,
  type: RTM_NEWLINK,
  flags: NLM_F_CREATE | NLM_F_EXCL,
  body: (writer) => {
    writeUp(writer, writer.reserve(ifinfomsgLength))
    writer.string(IFLA_IFNAME, name)
    const info = writer.nest(IFLA_LINKINFO)
    writer.string(IFLA_INFO_KIND, 'dummy')
    writer.endNest(info)
  },
})

export const bringUpRequest = ({ name, index }: Link): Request => ({
  op: `bring up ${name}`,
  type: RTM_NEWLINK,
  body: (writer) => {
    const at = writer.reserve(ifinfomsgLength)
    writer.view.setInt32(at + indexAt, index, littleEndian)
    writeUp(writer, at)
  },
})

export const indexedLinkRequest = (index: number): Request => ({
  op: `find link ${index}`,
  type: RTM_GETLINK,
  body: (writer) => {
    const at = writer.reserve(ifinfomsgLength)
    writer.view.setInt32(at + indexAt, index, littleEndian)
  },
})

/** `type` is RTM_GETLINK or RTM_DELLINK; ENODEV when there is no such link. */
export const namedLinkRequest = (type: number, name: string): Request => ({
  op: `${type === RTM_GETLINK ? 'find' : 'delete'} link ${name}`,
  type,
  body: (writer) => {
    writer.reserve(ifinfomsgLength)
    writer.string(IFLA_IFNAME, name)
  },
})

/** Of a dummy device that cannot be had because another device has the name. */
export const otherKind = ({ name, kind }: Link): KernelError =>
  new KernelError({
    code: 'exists',
    op: `create dummy ${name}`,
    detail: `the name is that of ${kind === undefined ? 'another device' : `a ${kind} device`}`,
  })

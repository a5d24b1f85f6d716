import { maxBits } from '../../model/cidr.ts'
import { addressBytes, familyOf, type IP, writeIP } from '../../model/ip.ts'
import type { Request } from '../netlink/connection.ts'
import { NLM_F_CREATE, NLM_F_EXCL } from '../netlink/constants.ts'
import { littleEndian, type Writer } from '../netlink/wire.ts'
import type { Link } from './interface-address.ts'
import {
  AF_INET,
  AF_INET6,
  IFA_ADDRESS,
  IFA_F_NODAD,
  IFA_F_NOPREFIXROUTE,
  IFA_FLAGS,
  IFA_LOCAL,
  ifaddrmsgLength,
  RTM_DELADDR,
  RTM_NEWADDR,
} from './rtnetlink.ts'

/** Gives a link a host address; EEXIST when it has it. */
export const addition = (ip: IP, link: Link): Request => ({
  op: `add ${ip} to ${link.name}`,
  type: RTM_NEWADDR,
  flags: NLM_F_CREATE | NLM_F_EXCL,
  body: (writer) => {
    writeAddress(writer, ip, link)
    // Usable at once, and no route of its own: the kernel makes none for an IPv4 host address either.
    if (familyOf(ip) === 'IPv6') writer.u32host(IFA_FLAGS, IFA_F_NODAD | IFA_F_NOPREFIXROUTE)
  },
})

/** Takes a host address from a link; EADDRNOTAVAIL when it does not have it. */
export const removal = (ip: IP, link: Link): Request => ({
  op: `remove ${ip} from ${link.name}`,
  type: RTM_DELADDR,
  body: (writer) => writeAddress(writer, ip, link),
})

const writeAddress = (writer: Writer, ip: IP, { index }: Link): void => {
  const family = familyOf(ip)
  const at = writer.reserve(ifaddrmsgLength)
  writer.view.setUint8(at, family === 'IPv4' ? AF_INET : AF_INET6)
  writer.view.setUint8(at + 1, maxBits(family))
  writer.view.setUint32(at + 4, index, littleEndian)
  for (const type of [IFA_LOCAL, IFA_ADDRESS]) {
    const value = writer.attribute(type, addressBytes(family))
    writeIP(ip, writer.bytes, value)
  }
}

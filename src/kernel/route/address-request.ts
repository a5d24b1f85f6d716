import { maxBits } from '../../model/cidr.ts'
import { addressBytes, familyOf, type IP, writeIP } from '../../model/ip.ts'
import { NLM_F_CREATE, NLM_F_EXCL } from '../netlink/constants.ts'
import type { Request } from '../netlink/request.ts'
import { littleEndian, type Writer } from '../netlink/wire.ts'
import type { AddressPurpose, Link } from './interface-address.ts'
import {
  AF_INET,
  AF_INET6,
  IFA_ADDRESS,
  IFA_CACHEINFO,
  IFA_F_NODAD,
  IFA_F_NOPREFIXROUTE,
  IFA_FLAGS,
  IFA_LOCAL,
  ifaddrmsgLength,
  RT_SCOPE_HOST,
  RT_SCOPE_UNIVERSE,
  RTM_DELADDR,
  RTM_NEWADDR,
} from './rtnetlink.ts'

/** Gives a link a host address; EEXIST when it has it. */
export const addition = (ip: IP, link: Link, purpose: AddressPurpose = 'any'): Request => ({
  op: `add ${ip} to ${link.name}`,
  type: RTM_NEWADDR,
  flags: NLM_F_CREATE | NLM_F_EXCL,
  body: (writer) => {
    const family = familyOf(ip)
    const scope = purpose === 'destination' && family === 'IPv4' ? RT_SCOPE_HOST : RT_SCOPE_UNIVERSE
    writeAddress(writer, ip, link, scope)
    if (family === 'IPv4') return
    // Usable at once, and no route of its own: the kernel makes none for an IPv4 host address either.
    writer.u32host(IFA_FLAGS, IFA_F_NODAD | IFA_F_NOPREFIXROUTE)
    if (purpose === 'destination') writeDeprecated(writer)
  },
})

/** Takes a host address from a link; EADDRNOTAVAIL when it does not have it. */
export const removal = (ip: IP, link: Link): Request => ({
  op: `remove ${ip} from ${link.name}`,
  type: RTM_DELADDR,
  body: (writer) => writeAddress(writer, ip, link, RT_SCOPE_UNIVERSE),
})

/** struct ifa_cacheinfo of linux/if_addr.h: preferred for 0 seconds, valid for ever; then two times of the kernel's own. */
const writeDeprecated = (writer: Writer): void => {
  const at = writer.attribute(IFA_CACHEINFO, 16)
  writer.view.setUint32(at + 4, 0xffffffff, littleEndian)
}

const writeAddress = (writer: Writer, ip: IP, { index }: Link, scope: number): void => {
  const family = familyOf(ip)
  const at = writer.reserve(ifaddrmsgLength)
  writer.view.setUint8(at, family === 'IPv4' ? AF_INET : AF_INET6)
  writer.view.setUint8(at + 1, maxBits(family))
  writer.view.setUint8(at + 3, scope)
  writer.view.setUint32(at + 4, index, littleEndian)
  for (const type of [IFA_LOCAL, IFA_ADDRESS]) {
    const value = writer.attribute(type, addressBytes(family))
    writeIP(ip, writer.bytes, value)
  }
}

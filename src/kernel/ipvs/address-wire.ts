import { type Family, type IP, readIP, writeIP } from '../../model/ip.ts'
import { malformed } from '../netlink/error.ts'
import type { Reader, Writer } from '../netlink/wire.ts'
import { AF_INET, AF_INET6 } from './constants.ts'

/** sizeof(union nf_inet_addr) */
const addressLength = 16

export const familyNumber = { IPv4: AF_INET, IPv6: AF_INET6 } as const satisfies Record<Family, number>

export const readFamily = (reader: Reader): Family => {
  const number = reader.u16host()
  if (number === AF_INET) return 'IPv4'
  if (number === AF_INET6) return 'IPv6'
  throw malformed(`address family ${number}`)
}

export const writeAddress = (writer: Writer, type: number, ip: IP): void => {
  const at = writer.attribute(type, addressLength)
  writeIP(ip, writer.bytes, at)
}

/** `bytes`: the value of an address attribute, whose family another attribute tells. */
export const readAddress = (family: Family, bytes: Uint8Array): IP => {
  if (bytes.length !== addressLength) throw malformed(`address of ${bytes.length} bytes`)
  return readIP(family, bytes, 0)
}

/** The attribute named, or `malformed` where the kernel left it out. */
export const present = <Value>(value: Value | undefined, name: string): Value => {
  if (value === undefined) throw malformed(`no ${name}`)
  return value
}

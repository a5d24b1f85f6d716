import { type Family, familyOf } from '../../model/ip.ts'
import { malformed } from '../netlink/error.ts'
import type { Reader, Writer } from '../netlink/wire.ts'
import { familyNumber, present, readAddress, readFamily, writeAddress } from './address-wire.ts'
import {
  IP_VS_CONN_F_BYPASS,
  IP_VS_CONN_F_DROUTE,
  IP_VS_CONN_F_LOCALNODE,
  IP_VS_CONN_F_MASQ,
  IP_VS_CONN_F_TUNNEL,
  IPVS_CMD_ATTR_DEST,
  IPVS_DEST_ATTR_ACTIVE_CONNS,
  IPVS_DEST_ATTR_ADDR,
  IPVS_DEST_ATTR_ADDR_FAMILY,
  IPVS_DEST_ATTR_FWD_METHOD,
  IPVS_DEST_ATTR_INACT_CONNS,
  IPVS_DEST_ATTR_L_THRESH,
  IPVS_DEST_ATTR_PERSIST_CONNS,
  IPVS_DEST_ATTR_PORT,
  IPVS_DEST_ATTR_STATS,
  IPVS_DEST_ATTR_STATS64,
  IPVS_DEST_ATTR_U_THRESH,
  IPVS_DEST_ATTR_WEIGHT,
} from './constants.ts'
import { readCounters } from './counters-wire.ts'
import type { Forwarding, IpvsCounters, ObservedRealServer, RealServer } from './ipvs.ts'

const forwardingNumber = {
  masquerade: IP_VS_CONN_F_MASQ,
  local: IP_VS_CONN_F_LOCALNODE,
  tunnel: IP_VS_CONN_F_TUNNEL,
  direct: IP_VS_CONN_F_DROUTE,
  bypass: IP_VS_CONN_F_BYPASS,
} as const satisfies Record<Forwarding, number>

const forwardingOfNumber: readonly Forwarding[] = ['masquerade', 'local', 'tunnel', 'direct', 'bypass']

/** Which real server is meant. */
export const writeRealServerId = (writer: Writer, server: Pick<RealServer, 'ip' | 'port'>): void => {
  const nest = writer.nest(IPVS_CMD_ATTR_DEST)
  writeIdentity(writer, server)
  writer.endNest(nest)
}

/** All of a real server. Its tunnel, if it is one, is IPIP, which is what the kernel takes where none is named. */
export const writeRealServer = (writer: Writer, server: RealServer): void => {
  const nest = writer.nest(IPVS_CMD_ATTR_DEST)
  writeIdentity(writer, server)
  writer.u32host(IPVS_DEST_ATTR_FWD_METHOD, forwardingNumber[server.forwarding])
  writer.u32host(IPVS_DEST_ATTR_WEIGHT, server.weight)
  writer.u32host(IPVS_DEST_ATTR_U_THRESH, server.upperThreshold)
  writer.u32host(IPVS_DEST_ATTR_L_THRESH, server.lowerThreshold)
  writer.endNest(nest)
}

const writeIdentity = (writer: Writer, { ip, port }: Pick<RealServer, 'ip' | 'port'>): void => {
  writer.u16host(IPVS_DEST_ATTR_ADDR_FAMILY, familyNumber[familyOf(ip)])
  writeAddress(writer, IPVS_DEST_ATTR_ADDR, ip)
  writer.u16be(IPVS_DEST_ATTR_PORT, port)
}

/** What the attributes of a real server tell, before it is known whether they are all there. */
interface Found {
  family?: Family
  address?: Uint8Array
  port?: number
  forwarding?: number
  weight?: number
  upper?: number
  lower?: number
  active?: number
  inactive?: number
  persistent?: number
  counters?: IpvsCounters
}

/**
 * Reads the attributes of an IPVS_CMD_NEW_DEST. `family` is that of the virtual server, and of a real server that does not
 * tell its own.
 */
export const readRealServer = (attributes: Reader, family: Family): ObservedRealServer => {
  while (attributes.next())
    if (attributes.type === IPVS_CMD_ATTR_DEST) return realServerOf(readFound(attributes.nested()), family)
  throw malformed('no real server')
}

const readFound = (reader: Reader): Found => {
  const found: Found = {}
  while (reader.next())
    switch (reader.type) {
      case IPVS_DEST_ATTR_ADDR:
        found.address = reader.value()
        break
      case IPVS_DEST_ATTR_PORT:
        found.port = reader.u16be()
        break
      case IPVS_DEST_ATTR_FWD_METHOD:
        found.forwarding = reader.u32host()
        break
      case IPVS_DEST_ATTR_WEIGHT:
        found.weight = reader.u32host()
        break
      case IPVS_DEST_ATTR_U_THRESH:
        found.upper = reader.u32host()
        break
      case IPVS_DEST_ATTR_L_THRESH:
        found.lower = reader.u32host()
        break
      case IPVS_DEST_ATTR_ACTIVE_CONNS:
        found.active = reader.u32host()
        break
      case IPVS_DEST_ATTR_INACT_CONNS:
        found.inactive = reader.u32host()
        break
      case IPVS_DEST_ATTR_PERSIST_CONNS:
        found.persistent = reader.u32host()
        break
      case IPVS_DEST_ATTR_STATS:
        // Of both, the one of 64 bits counts.
        found.counters ??= readCounters(reader)
        break
      case IPVS_DEST_ATTR_STATS64:
        found.counters = readCounters(reader)
        break
      case IPVS_DEST_ATTR_ADDR_FAMILY:
        found.family = readFamily(reader)
        break
      default:
        break
    }
  return found
}

const realServerOf = (found: Found, family: Family): ObservedRealServer => ({
  ip: readAddress(found.family ?? family, present(found.address, 'address')),
  port: present(found.port, 'port'),
  forwarding: readForwarding(present(found.forwarding, 'forwarding method')),
  weight: present(found.weight, 'weight'),
  upperThreshold: present(found.upper, 'upper threshold'),
  lowerThreshold: present(found.lower, 'lower threshold'),
  active: present(found.active, 'active connections'),
  inactive: present(found.inactive, 'inactive connections'),
  persistent: present(found.persistent, 'persistent connections'),
  counters: present(found.counters, 'counters'),
})

const readForwarding = (number: number): Forwarding => {
  const forwarding = forwardingOfNumber[number]
  if (forwarding === undefined) throw malformed(`forwarding method ${number}`)
  return forwarding
}

import { malformed } from '../netlink/error.ts'
import type { Reader } from '../netlink/wire.ts'
import {
  IPVS_STATS_ATTR_CONNS,
  IPVS_STATS_ATTR_INBYTES,
  IPVS_STATS_ATTR_INPKTS,
  IPVS_STATS_ATTR_OUTBYTES,
  IPVS_STATS_ATTR_OUTPKTS,
} from './constants.ts'
import type { IpvsCounters } from './ipvs.ts'

/** Reads a STATS or STATS64 that `reader` stands on: numbers of 32 or 64 bits. */
export const readCounters = (reader: Reader): IpvsCounters => {
  const counters = { connections: 0n, packetsIn: 0n, packetsOut: 0n, bytesIn: 0n, bytesOut: 0n }
  const found = reader.nested()
  let known = 0
  while (found.next()) {
    const name = names[found.type]
    if (name === undefined) continue
    counters[name] = wholeNumber(found)
    known |= 1 << found.type
  }
  if (known !== all) throw malformed('counters are missing')
  return counters
}

const names: Readonly<Partial<Record<number, keyof IpvsCounters>>> = {
  [IPVS_STATS_ATTR_CONNS]: 'connections',
  [IPVS_STATS_ATTR_INPKTS]: 'packetsIn',
  [IPVS_STATS_ATTR_OUTPKTS]: 'packetsOut',
  [IPVS_STATS_ATTR_INBYTES]: 'bytesIn',
  [IPVS_STATS_ATTR_OUTBYTES]: 'bytesOut',
}

const all = Object.keys(names).reduce((bits, type) => bits | (1 << Number(type)), 0)

const wholeNumber = (reader: Reader): bigint =>
  reader.end - reader.start === 8 ? reader.u64host() : BigInt(reader.u32host())

import { malformed } from '../netlink/error.ts'
import type { MessageReader } from '../netlink/wire.ts'
import type { ConntrackCounter, ConntrackStats } from './conntrack.ts'
import {
  CTA_STATS_CHAIN_TOOLONG,
  CTA_STATS_CLASH_RESOLVE,
  CTA_STATS_DROP,
  CTA_STATS_EARLY_DROP,
  CTA_STATS_ERROR,
  CTA_STATS_FOUND,
  CTA_STATS_GLOBAL_ENTRIES,
  CTA_STATS_GLOBAL_MAX_ENTRIES,
  CTA_STATS_INSERT,
  CTA_STATS_INSERT_FAILED,
  CTA_STATS_INVALID,
  CTA_STATS_SEARCH_RESTART,
  IPCTNL_MSG_CT_GET_STATS,
  IPCTNL_MSG_CT_GET_STATS_CPU,
  NFGENMSG_LEN,
} from './constants.ts'

const counterTypes: ReadonlyMap<number, ConntrackCounter> = new Map([
  [CTA_STATS_FOUND, 'found'],
  [CTA_STATS_INVALID, 'invalid'],
  [CTA_STATS_INSERT, 'insert'],
  [CTA_STATS_INSERT_FAILED, 'insert_failed'],
  [CTA_STATS_DROP, 'drop'],
  [CTA_STATS_EARLY_DROP, 'early_drop'],
  [CTA_STATS_ERROR, 'error'],
  [CTA_STATS_SEARCH_RESTART, 'search_restart'],
  [CTA_STATS_CLASH_RESOLVE, 'clash_resolve'],
  [CTA_STATS_CHAIN_TOOLONG, 'chain_toolong'],
])

/** Adds what one processor has counted. */
export const addCounters = (message: MessageReader, sums: Map<ConntrackCounter, number>): void => {
  if (message.type !== IPCTNL_MSG_CT_GET_STATS_CPU)
    throw malformed(`message type ${message.type} is no statistics of a processor`)
  const attributes = message.attributes(NFGENMSG_LEN)
  while (attributes.next()) {
    const name = counterTypes.get(attributes.type)
    if (name !== undefined) sums.set(name, (sums.get(name) ?? 0) + attributes.u32be())
  }
}

export const readGlobal = (message: MessageReader): Pick<ConntrackStats, 'entries' | 'limit'> => {
  if (message.type !== IPCTNL_MSG_CT_GET_STATS) throw malformed(`message type ${message.type} is no statistics`)
  const attributes = message.attributes(NFGENMSG_LEN)
  let entries: number | undefined
  let limit: number | undefined
  while (attributes.next())
    if (attributes.type === CTA_STATS_GLOBAL_ENTRIES) entries = attributes.u32be()
    else if (attributes.type === CTA_STATS_GLOBAL_MAX_ENTRIES) limit = attributes.u32be()
  if (entries === undefined) throw malformed('statistics without the number of entries')
  return { entries, limit }
}

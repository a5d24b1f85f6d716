import type { Logger } from 'pino'
import { NftablesBackend } from '../backends/nftables/backend.ts'
import { WriteGuard } from '../backends/nftables/guard.ts'
import { nftFamily, tableName } from '../backends/nftables/schema.ts'
import { openNftClient } from '../kernel/nft/kernel-client.ts'
import { type NftEvent, openNftMonitor } from '../kernel/nft/monitor.ts'
import { OwnWriters } from '../kernel/nft/own-writers.ts'
import { ipv6Enabled } from '../kernel/sysctl/ipv6-enabled.ts'
import { type Family, families } from '../model/ip.ts'
import type { DriftReason } from '../sync/events.ts'
import { FatalError } from './fatal.ts'

export interface Nftables {
  readonly backends: readonly NftablesBackend[]
  close(): void
}

/**
 * Opens nftables and makes sure that it will do. `onDrift` hears when somebody else wrote to a table of ours.
 *
 * @throws FatalError with what is missing
 */
export const openNftables = async (
  onDrift: (family: Family, reason: DriftReason) => void,
  logger: Logger,
  signal: AbortSignal,
): Promise<Nftables> => {
  const writers = new OwnWriters()
  const client = openNftClient({ writers })
  const report = (event: NftEvent): void => {
    if (event.kind === 'overflow') {
      for (const { family } of backends) onDrift(family, 'periodic')
      return
    }
    for (const { family } of backends) {
      const mine = event.tables.some((table) => table.family === nftFamily(family) && table.name === tableName)
      if (mine) void reasonFor(family).then((reason) => onDrift(family, reason))
    }
  }
  const reasonFor = async (family: Family): Promise<DriftReason> => {
    const tables = await client.tables(signal).catch(() => [])
    const there = tables.some((table) => table.family === nftFamily(family) && table.name === tableName)
    return there ? 'elementsChanged' : 'tableDeleted'
  }
  const backends: NftablesBackend[] = []
  const probe = await new NftablesBackend('IPv4', client, new WriteGuard(client)).probe(signal)
  if (probe.kind !== 'supported') {
    client.close()
    const why = probe.kind === 'unsupported' ? probe.why : `nftables cannot be used: ${String(probe.cause)}`
    throw new FatalError(why, probe.kind === 'unknown' ? probe.cause : undefined)
  }
  const monitor = openNftMonitor({ writers, report })
  const guard = new WriteGuard(client, monitor)
  const withIPv6 = await ipv6Enabled(signal)
  if (!withIPv6) logger.info('IPv6 is off on this node: serving IPv4 only')
  for (const family of families) {
    if (family === 'IPv4' || withIPv6) backends.push(new NftablesBackend(family, client, guard))
  }
  return {
    backends,
    close: () => {
      monitor.close()
      client.close()
    },
  }
}

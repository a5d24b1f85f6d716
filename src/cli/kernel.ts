import type { Logger } from 'pino'
import { NftablesBackend } from '../backends/nftables/backend.ts'
import { probeNft } from '../backends/nftables/probe.ts'
import { nftFamily, tableName } from '../backends/nftables/schema.ts'
import type { NftClient } from '../kernel/nft/client.ts'
import { openNftClient } from '../kernel/nft/kernel-client.ts'
import { type NftEvent, openNftMonitor } from '../kernel/nft/monitor.ts'
import { OwnWriters } from '../kernel/nft/own-writers.ts'
import { WriteGuard } from '../kernel/nft/write-guard.ts'
import { ipv6Enabled } from '../kernel/sysctl/ipv6-enabled.ts'
import { type Family, families } from '../model/ip.ts'
import type { DriftReason } from '../sync/events.ts'
import { describe, FatalError, nftUnusable } from './fatal.ts'

export interface Nftables {
  /** One for each family that this node can use. */
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
  const client = openClient(writers)
  try {
    await requireSupport(client, signal)
    const served = (await ipv6Enabled(signal)) ? families : (['IPv4'] as const)
    if (served.length === 1) logger.info('IPv6 is off on this node: serving IPv4 only')
    const monitor = openNftMonitor({
      writers,
      report: driftReporter({ client, table: tableName, served, onDrift }, signal),
    })
    const guard = new WriteGuard(client, monitor)
    return {
      backends: served.map((family) => new NftablesBackend(family, client, guard)),
      close: () => {
        monitor.close()
        client.close()
      },
    }
  } catch (error) {
    client.close()
    throw error
  }
}

export const openClient = (writers: OwnWriters): NftClient => {
  try {
    return openNftClient({ writers })
  } catch (error) {
    throw nftUnusable(error)
  }
}

const requireSupport = async (client: NftClient, signal: AbortSignal): Promise<void> => {
  const probe = await probeNft(client, signal)
  signal.throwIfAborted()
  if (probe.kind === 'unknown') throw nftUnusable(probe.cause)
  if (probe.kind === 'unsupported') throw new FatalError(describe(probe.why))
}

export interface DriftWatch {
  readonly client: NftClient
  /** Name of our table, the same in each family. */
  readonly table: string
  readonly served: readonly Family[]
  readonly onDrift: (family: Family, reason: DriftReason) => void
}

/** Tells of what others do to our tables. */
export const driftReporter = (
  { client, table: name, served, onDrift }: DriftWatch,
  signal: AbortSignal,
): ((event: NftEvent) => void) => {
  const isOurs = (family: Family, table: { readonly family: string; readonly name: string }): boolean =>
    table.family === nftFamily(family) && table.name === name
  const reasonFor = async (family: Family): Promise<DriftReason> => {
    const tables = await client.tables(signal).catch(() => [])
    return tables.some((table) => isOurs(family, table)) ? 'elementsChanged' : 'tableDeleted'
  }
  return (event) => {
    for (const family of served) {
      if (event.kind === 'overflow') onDrift(family, 'periodic')
      else if (event.tables.some((table) => isOurs(family, table)))
        void reasonFor(family).then((reason) => onDrift(family, reason))
    }
  }
}

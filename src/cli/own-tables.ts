import { NftablesBackend } from '../backends/nftables/backend.ts'
import { nftFamily, tableName } from '../backends/nftables/schema.ts'
import { KernelError } from '../kernel/netlink/error.ts'
import { openNftClient } from '../kernel/nft/kernel-client.ts'
import { WriteGuard } from '../kernel/nft/write-guard.ts'
import { families } from '../model/ip.ts'

/**
 * Removes the tables of mode nftables, and needs no `nft` for it. Returns those that were there: `ip weir`.
 *
 * @throws KernelError
 */
export const removeOwnTables = async (signal: AbortSignal): Promise<readonly string[]> => {
  try {
    const client = openNftClient()
    try {
      const tables = await client.tables(signal)
      const guard = new WriteGuard(client)
      const removed: string[] = []
      for (const family of families) {
        if (!tables.some((table) => table.family === nftFamily(family) && table.name === tableName)) continue
        await new NftablesBackend(family, client, guard).cleanup(signal)
        removed.push(`${nftFamily(family)} ${tableName}`)
      }
      return removed
    } finally {
      client.close()
    }
  } catch (error) {
    // A kernel without nf_tables holds nothing of ours.
    if (error instanceof KernelError && error.code === 'unsupported') return []
    throw error
  }
}

import { nftFamily, tableName } from '../backends/nftables/schema.ts'
import { userspaceTable } from '../backends/userspace/redirect/schema.ts'
import { KernelError } from '../kernel/netlink/error.ts'
import { openNftClient } from '../kernel/nft/kernel-client.ts'
import { families } from '../model/ip.ts'

/** Tables of nftables that are ours, by the mode that has them. */
const tableOf = { nftables: tableName, userspace: userspaceTable } as const
export type TableMode = keyof typeof tableOf

export const everyTable: readonly TableMode[] = ['nftables', 'userspace']

/**
 * Removes the tables of these modes, and needs no `nft` for it. Returns those that were there: `ip weir`.
 *
 * @throws KernelError
 */
export const removeOwnTables = async (
  signal: AbortSignal,
  modes: readonly TableMode[] = everyTable,
): Promise<readonly string[]> => {
  try {
    const client = openNftClient()
    try {
      const tables = await client.tables(signal)
      const removed: string[] = []
      for (const name of modes.map((mode) => tableOf[mode]))
        for (const family of families.map(nftFamily)) {
          if (!tables.some((table) => table.family === family && table.name === name)) continue
          await client.deleteTable(family, name, signal)
          removed.push(`${family} ${name}`)
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

/** The same, for a start in another mode: a failure is returned, because what is left does no harm. */
export const tryRemoveOwnTables = async (
  modes: readonly TableMode[],
  signal: AbortSignal,
): Promise<{ readonly tables: readonly string[]; readonly errors: readonly Error[] }> => {
  try {
    return { tables: await removeOwnTables(signal, modes), errors: [] }
  } catch (error) {
    signal.throwIfAborted()
    if (!(error instanceof Error)) throw error
    return { tables: [], errors: [error] }
  }
}

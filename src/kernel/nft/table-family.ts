import { KernelError } from '../netlink/error.ts'
import { Batch } from './batch.ts'
import type { TableFamily } from './constants.ts'
import { openNftClient } from './kernel-client.ts'

/**
 * Why the kernel has no nf_tables tables of this family; undefined when it has, or when that cannot be told. A kernel may
 * list tables and chains (CONFIG_NF_TABLES) and yet make none (without CONFIG_NF_TABLES_IPV4). Nothing is changed: the
 * transaction that asks ends in a refusal, whatever the answer is.
 */
export const tableFamilyObstacle = async (family: TableFamily, signal: AbortSignal): Promise<string | undefined> => {
  const batch = new Batch(family, 'weir-probe')
  batch.addTable()
  batch.deleteChain('none')
  try {
    const client = openNftClient()
    try {
      await client.commit(batch, signal)
    } finally {
      client.close()
    }
  } catch (error) {
    if (!(error instanceof KernelError)) throw error
    if (error.code === 'unsupported') return `the kernel has no nf_tables tables of family ${family}`
  }
  return undefined
}

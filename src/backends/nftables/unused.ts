import { Batch } from '../../kernel/nft/batch.ts'
import type { SetInfo } from '../../kernel/nft/objects.ts'
import type { Family } from '../../model/ip.ts'
import { recorderName } from './class.ts'
import { nftFamily, tableName } from './schema.ts'

/** Chains refer to each other: all are emptied first. The fixed rules jump to the recorder: it stays, empty. */
const deleted = (chains: readonly string[]): readonly string[] => chains.filter((name) => name !== recorderName)

export const chainDeletion = (family: Family, chains: readonly string[]): Batch => {
  const batch = new Batch(nftFamily(family), tableName)
  for (const name of chains) batch.flushChain(name)
  for (const name of deleted(chains)) batch.deleteChain(name)
  return batch
}

/** With sets of strangers: those chains may use them, and their elements may point to those chains. */
export const deletionScript = (family: Family, chains: readonly string[], sets: readonly SetInfo[]): string => {
  const table = `${nftFamily(family)} ${tableName}`
  const lines = [
    ...chains.map((name) => `flush chain ${table} ${name}`),
    ...sets.map(({ name, data }) => `delete ${data.kind === 'none' ? 'set' : 'map'} ${table} ${name}`),
    ...deleted(chains).map((name) => `delete chain ${table} ${name}`),
  ]
  return `${lines.join('\n')}\n`
}

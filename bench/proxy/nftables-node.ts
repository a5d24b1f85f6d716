import { NftablesBackend } from '../../src/backends/nftables/backend.ts'
import { openNftClient } from '../../src/kernel/nft/kernel-client.ts'
import { openNftMonitor } from '../../src/kernel/nft/monitor.ts'
import { OwnWriters } from '../../src/kernel/nft/own-writers.ts'
import { WriteGuard } from '../../src/kernel/nft/write-guard.ts'
import { families } from '../../src/model/ip.ts'
import { nodeFlags } from './flags.ts'
import { BenchNode } from './node.ts'
import { TimedClient } from './timed-client.ts'

export interface NftablesNode {
  readonly node: BenchNode
  readonly client: TimedClient
}

export const openNftablesNode = async ({ keepBatches }: { readonly keepBatches: boolean }): Promise<NftablesNode> => {
  const writers = new OwnWriters()
  const client = new TimedClient(openNftClient({ writers }), keepBatches)
  const node = await BenchNode.create(nodeFlags, async (_config, onDrift) => {
    const report = (): void => {
      for (const family of families) onDrift(family, 'periodic')
    }
    const monitor = openNftMonitor({ writers, report })
    const guard = new WriteGuard(client, monitor)
    const close = (): void => {
      monitor.close()
      client.close()
    }
    return { backends: families.map((family) => new NftablesBackend(family, client, guard)), close }
  })
  return { node, client }
}

import { NftablesBackend } from '../backends/nftables/backend.ts'
import { WriteGuard } from '../backends/nftables/guard.ts'
import { removeLeftovers } from '../backends/takeover/takeover.ts'
import { openNftClient } from '../kernel/nft/kernel-client.ts'
import { families } from '../model/ip.ts'
import { FatalError } from './fatal.ts'
import { describeTakeover } from './takeover-report.ts'

/** `weir cleanup`: removes our tables and what kube-proxy left. Throws when any part of that failed. */
export const cleanup = async (say: (line: string) => void, signal: AbortSignal): Promise<void> => {
  const failures: string[] = []
  const client = openNftClient()
  try {
    const guard = new WriteGuard(client)
    for (const family of families) {
      const backend = new NftablesBackend(family, client, guard)
      await backend.cleanup(signal).catch((error: unknown) => {
        failures.push(error instanceof Error ? error.message : String(error))
      })
    }
  } finally {
    client.close()
  }
  const report = await removeLeftovers(signal)
  for (const line of describeTakeover(report)) say(line)
  failures.push(...report.errors.map(({ message }) => message))
  if (failures.length > 0) throw new FatalError(`clean-up was not complete: ${failures.join('; ')}`)
}

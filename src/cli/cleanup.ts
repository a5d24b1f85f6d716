import { NftablesBackend } from '../backends/nftables/backend.ts'
import { removeLeftovers } from '../backends/takeover/takeover.ts'
import { KernelError } from '../kernel/netlink/error.ts'
import { openNftClient } from '../kernel/nft/kernel-client.ts'
import { WriteGuard } from '../kernel/nft/write-guard.ts'
import { families } from '../model/ip.ts'
import { describe, FatalError, noPermission } from './fatal.ts'
import { describeTakeover } from './takeover-report.ts'

/**
 * `weir cleanup`: removes our tables and what kube-proxy left. Needs no `nft` for what is ours.
 *
 * @throws FatalError when any part of that failed; the others are cleaned all the same
 */
export const cleanup = async (say: (line: string) => void, signal: AbortSignal): Promise<void> => {
  const failures = [...(await removeOwn(signal))]
  const report = await removeLeftovers(signal)
  for (const line of describeTakeover(report)) say(line)
  failures.push(...report.errors.map(describe))
  if (failures.length > 0) throw new FatalError(`clean-up was not complete: ${failures.join('; ')}`)
}

/** What went wrong. */
const removeOwn = async (signal: AbortSignal): Promise<readonly string[]> => {
  const failures: string[] = []
  try {
    const client = openNftClient()
    try {
      const guard = new WriteGuard(client)
      for (const family of families) await new NftablesBackend(family, client, guard).cleanup(signal)
    } finally {
      client.close()
    }
  } catch (error) {
    signal.throwIfAborted()
    if (!(error instanceof KernelError)) throw error
    // Everything else would fail for the same reason.
    if (error.code === 'permission') throw new FatalError(noPermission, error)
    // A kernel without nf_tables holds nothing of ours.
    if (error.code !== 'unsupported') failures.push(describe(error))
  }
  return failures
}

import { removeLeftovers } from '../backends/takeover/takeover.ts'
import { KernelError } from '../kernel/netlink/error.ts'
import { describe, FatalError, noPermission } from './fatal.ts'
import { removeOwnTables } from './own-tables.ts'
import { describeTakeover } from './takeover-report.ts'

/**
 * `weir cleanup`: removes what we and what kube-proxy programmed in any mode. Needs no `nft` for the tables that are
 * ours, and says nothing of them: that they go is what it is for.
 *
 * @throws FatalError when any part of that failed; the others are cleaned all the same
 */
export const cleanup = async (say: (line: string) => void, signal: AbortSignal): Promise<void> => {
  const failures: string[] = []
  try {
    await removeOwnTables(signal)
  } catch (error) {
    signal.throwIfAborted()
    if (!(error instanceof KernelError)) throw error
    // Everything else would fail for the same reason.
    if (error.code === 'permission') throw new FatalError(noPermission, error)
    failures.push(describe(error))
  }
  const report = await removeLeftovers(signal)
  for (const line of describeTakeover(report)) say(line)
  failures.push(...report.errors.map(describe))
  if (failures.length > 0) throw new FatalError(`clean-up was not complete: ${failures.join('; ')}`)
}

import type { Ipvs } from '../../kernel/ipvs/ipvs.ts'
import type { DrainLedger } from './drain-ledger.ts'
import type { TaggedChange } from './server-diff.ts'
import { writeServers } from './write-servers.ts'

export interface DrainParts {
  readonly ipvs: Ipvs
  readonly ledger: DrainLedger
  /** Monotonic milliseconds. */
  readonly now: () => number
  /** How long one may drain; 0 = as long as its connections last. */
  readonly limitMs: number
  /** A plan is made already, and counts on those that drain. */
  readonly hasToEnd: () => boolean
}

/**
 * Deletes real servers that drain and have no connections any more, or have had time enough. False: the kernel was not as
 * expected. What is to go is forgotten first, so whoever makes a plan meanwhile adds it instead of raising it; after a
 * rejection of this only a look tells what is there.
 */
export const checkDrains = async (parts: DrainParts, signal: AbortSignal): Promise<boolean> => {
  const { ipvs, ledger, now, limitMs, hasToEnd } = parts
  const changes: TaggedChange[] = []
  for (const { id } of [...ledger.servers()]) {
    const found = await ipvs.realServers(id, signal)
    if (hasToEnd()) break
    changes.push(...ledger.check(id, found, now(), limitMs))
  }
  const { stale, failure, rejections } = await writeServers(ipvs, changes, (server) => server, signal)
  return stale === undefined && failure === undefined && rejections.length === 0
}

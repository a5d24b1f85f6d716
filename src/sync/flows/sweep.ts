import type { Flow, PassingFlow } from '../../model/flow.ts'
import type { Family } from '../../model/ip.ts'
import type { Protocol } from '../../model/protocol.ts'
import { deletedAtOnce, type FlowTable } from './flow-table.ts'

export interface SweepOptions {
  readonly table: FlowTable
  readonly family: Family
  readonly protocol: Protocol
  readonly isStale: (flow: Flow) => boolean
  /** The rules are now what {@link isStale} goes by. */
  readonly mayDelete: () => boolean
  /** Resolves when that may be so again; false: not soon. */
  readonly untilSettled: (signal: AbortSignal) => Promise<boolean>
}

export interface Swept {
  readonly deleted: number
  /** What went wrong. The rest was done all the same: every entry is judged by itself. */
  readonly failures: readonly unknown[]
  /** Every stale entry that was there at the beginning is gone. */
  readonly whole: boolean
}

/** How many stale entries wait to be deleted while a write is under way. More are left to the next pass. */
const mostWaiting = 10_000

/**
 * Reads the entries of one protocol once and deletes those that are stale. What an entry leads to is looked at again in
 * the moment in which it is deleted, and while a write is under way nothing is: then rules and index may differ. Rejects
 * with the signal's reason only.
 */
export const sweep = async (options: SweepOptions, signal: AbortSignal): Promise<Swept> => {
  const { table, family, protocol, isStale, mayDelete, untilSettled } = options
  const deletions: ReturnType<FlowTable['delete']>[] = []
  const failures: unknown[] = []
  let waiting: Flow[] = []
  let whole = true
  const deleteWaiting = (): void => {
    const stale = waiting.filter(isStale)
    waiting = []
    for (let at = 0; at < stale.length; at += deletedAtOnce) {
      const deletion = table.delete(stale.slice(at, at + deletedAtOnce), signal)
      // It is heard of below.
      deletion.catch(() => {})
      deletions.push(deletion)
    }
  }
  const onFlow = (flow: PassingFlow): void => {
    if (!isStale(flow)) return
    if (waiting.length >= deletedAtOnce && mayDelete()) deleteWaiting()
    if (waiting.length < mostWaiting) waiting.push(flow.copy())
    else whole = false
  }
  try {
    await table.flows({ family, protocol }, onFlow, signal)
  } catch (error) {
    failures.push(error)
  }
  while (waiting.length > 0 && !signal.aborted) {
    if (mayDelete()) deleteWaiting()
    else if (!(await untilSettled(signal))) {
      whole = false
      break
    }
  }
  let deleted = 0
  for (const outcome of await Promise.allSettled(deletions)) {
    if (outcome.status === 'rejected') failures.push(outcome.reason)
    else {
      deleted += outcome.value.deleted
      failures.push(...outcome.value.refusals)
    }
  }
  signal.throwIfAborted()
  return { deleted, failures, whole: whole && failures.length === 0 }
}

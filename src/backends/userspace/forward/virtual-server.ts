import type { Counters } from './counters.ts'
import type { VirtualServerSpec } from './forwarder.ts'
import type { Pool } from './pool.ts'
import type { ProcessCounters } from './process-counters.ts'

/** How a connection counts: LVS's active (TCP open both ways) and inactive (half-closed, and all of UDP). */
export type Counting = 'active' | 'inactive'

/** One virtual server in one thread. */
export interface VirtualServer {
  spec: VirtualServerSpec
  readonly pool: Pool
  readonly counters: Counters
}

/** Counts a connection in. Gives how many there were. */
export const countIn = (counters: Counters, as: Counting): number =>
  as === 'active' ? counters.addActive(1) : counters.addInactive(1)

export const countOut = (counters: Counters, as: Counting): void => {
  if (as === 'active') counters.addActive(-1)
  else counters.addInactive(-1)
}

/**
 * Counts a new connection or session in, at its server and in the process, if both limits leave room; if not, that is
 * counted. {@link dismiss} is the inverse.
 */
export const admit = (
  { spec, counters }: VirtualServer,
  as: Counting,
  process: ProcessCounters,
  maxConnections: number | undefined,
): boolean => {
  const inProcess = process.addConnections(1, as === 'inactive')
  const atServer = countIn(counters, as)
  if (inProcess < (maxConnections ?? Infinity) && atServer < (spec.maxConnections ?? Infinity)) return true
  process.addConnections(-1, as === 'inactive')
  countOut(counters, as)
  counters.countLimited()
  return false
}

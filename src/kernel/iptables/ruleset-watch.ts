import type { Family } from '../../model/ip.ts'

/**
 * Tells whether somebody else wrote to the tables of one variant, without listing them. Both families share one.
 * Whoever opens it hears of foreign writes soon after they happen.
 */
export interface RulesetWatch {
  /** Runs one write of ours; what it changes is no news. `bytes`: the size of its input, about. */
  write<T>(family: Family, bytes: number, write: () => Promise<T>, signal: AbortSignal): Promise<T>
  /** The family's tables are about to be listed: what is written by others from now on counts. */
  compared(family: Family, signal: AbortSignal): void
  /** Nobody else can have written since the tables were last listed, as far as the kernel shows it. */
  untouched(family: Family, signal: AbortSignal): boolean
  close(): void
}

import type { Family } from '../../model/ip.ts'
import type { Variant } from './iptables.ts'

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

export interface RulesetWatchOptions {
  readonly variant: Variant
  readonly families: readonly Family[]
  /** Somebody else has written to a family's tables. May come more than once for one write. Must not throw. */
  readonly onForeignWrite: (family: Family) => void
  /**
   * Whether a change of this chain matters; all do without it. The nft variant tells them apart, so that who keeps
   * writing to chains of his own is no news; the legacy one sees tables only.
   */
  readonly concerns?: (chain: string) => boolean
  /** How often to look, for the legacy variant: of the other one, the kernel tells. Default 50. */
  readonly intervalMs?: number
}

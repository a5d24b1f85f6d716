import type { Batch } from './batch.ts'
import type { TableFamily } from './constants.ts'
import type { OnElement } from './element.ts'
import type { ChainInfo, RuleInfo, SetInfo, TableInfo, TableRef } from './objects.ts'

export interface DumpElementsOptions {
  /**
   * The set changed while it was read, or the kernel was moving it: forget the elements so far, they come again. Without
   * it the dump throws `interrupted`; with it, after ten attempts within two seconds or so. Give one right after a large
   * commit.
   */
  readonly restart?: () => void
  /** For sets that packets change: elements may then be missing or come twice. Default false. */
  readonly inexact?: boolean
}

/** nf_tables as weir needs it. Every method throws {@link KernelError}. */
export interface NftClient {
  /**
   * Applies a batch: all of it or nothing. Batches below 1 MiB are written at once in this very call; larger ones on a
   * thread. Resolves with the generation of the ruleset afterwards. An error carries the tag (see `Batch.mark`) of the
   * first part that the kernel refused. An empty batch is not sent. Once sent, `signal` cannot stop it.
   */
  commit(batch: Batch, signal: AbortSignal): Promise<{ readonly generation: number }>
  /** A number that every change of any table advances by one. */
  generation(signal: AbortSignal): number
  /** Runs `script` through `nft -f -`. Code `missing` without that program. */
  runText(script: string, signal: AbortSignal): Promise<void>
  /** Tables of every family. */
  tables(signal: AbortSignal): Promise<readonly TableInfo[]>
  /** `notFound` when there is no such table; so with `sets`, `rules` and `dumpElements`. */
  chains(table: TableRef, signal: AbortSignal): Promise<readonly ChainInfo[]>
  sets(table: TableRef, signal: AbortSignal): Promise<readonly SetInfo[]>
  /** In the order of each chain. */
  rules(table: TableRef, signal: AbortSignal): Promise<readonly RuleInfo[]>
  /** Streams the elements of a set in no particular order, and lets the event loop run in between. */
  dumpElements(
    table: TableRef,
    set: string,
    onElement: OnElement,
    signal: AbortSignal,
    options?: DumpElementsOptions,
  ): Promise<void>
  /** Does nothing when there is no such table. */
  deleteTable(family: TableFamily, name: string, signal: AbortSignal): Promise<void>
  /** Version of the `nft` program: `1.0.6`. */
  version(signal: AbortSignal): Promise<string>
  close(): void
}

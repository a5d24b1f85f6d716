import type { Batch } from '../../src/kernel/nft/batch.ts'
import type { DumpElementsOptions, NftClient } from '../../src/kernel/nft/client.ts'
import type { TableFamily } from '../../src/kernel/nft/constants.ts'
import type { OnElement } from '../../src/kernel/nft/element.ts'
import type { ChainInfo, RuleInfo, SetInfo, TableInfo, TableRef } from '../../src/kernel/nft/objects.ts'

/** A client that passes everything on to another, and takes the time of what writes. */
export class TimedClient implements NftClient {
  readonly #client: NftClient
  readonly #keep: boolean
  /** Milliseconds in `runText`, and the scripts that it ran. */
  scriptMs = 0
  readonly scripts: string[] = []
  /** Milliseconds in `commit`, and the batches that it sent. */
  commitMs = 0
  readonly batches: Batch[] = []

  /** With `keep` it holds on to scripts and batches. */
  constructor(client: NftClient, keep: boolean) {
    this.#client = client
    this.#keep = keep
  }

  async commit(batch: Batch, signal: AbortSignal): Promise<{ readonly generation: number }> {
    if (this.#keep && batch.messages > 0) this.batches.push(batch)
    const start = performance.now()
    const committed = await this.#client.commit(batch, signal)
    this.commitMs += performance.now() - start
    return committed
  }

  async runText(script: string, signal: AbortSignal): Promise<void> {
    if (this.#keep) this.scripts.push(script)
    const start = performance.now()
    await this.#client.runText(script, signal)
    this.scriptMs += performance.now() - start
  }

  generation(signal: AbortSignal): number {
    return this.#client.generation(signal)
  }

  tables(signal: AbortSignal): Promise<readonly TableInfo[]> {
    return this.#client.tables(signal)
  }

  chains(table: TableRef, signal: AbortSignal): Promise<readonly ChainInfo[]> {
    return this.#client.chains(table, signal)
  }

  sets(table: TableRef, signal: AbortSignal): Promise<readonly SetInfo[]> {
    return this.#client.sets(table, signal)
  }

  rules(table: TableRef, signal: AbortSignal): Promise<readonly RuleInfo[]> {
    return this.#client.rules(table, signal)
  }

  dumpElements(
    table: TableRef,
    set: string,
    onElement: OnElement,
    signal: AbortSignal,
    options?: DumpElementsOptions,
  ): Promise<void> {
    return this.#client.dumpElements(table, set, onElement, signal, options)
  }

  deleteTable(family: TableFamily, name: string, signal: AbortSignal): Promise<void> {
    return this.#client.deleteTable(family, name, signal)
  }

  version(signal: AbortSignal): Promise<string> {
    return this.#client.version(signal)
  }

  close(): void {
    this.#client.close()
  }
}

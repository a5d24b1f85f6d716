import { KernelError } from '../../src/kernel/netlink/error.ts'
import type { Batch } from '../../src/kernel/nft/batch.ts'
import type { NftClient } from '../../src/kernel/nft/client.ts'
import type { Fault } from './sync-world.ts'

/** Passes everything on to another client, counts it, and fails when told to. */
export class TestClient implements NftClient {
  readonly #inner: NftClient
  #faults: Fault[] = []
  #writes = 0
  /** Bytes of the batches that went through since {@link begin}. */
  batches: Uint8Array[] = []
  scripts = 0
  /** Reads of a whole table since {@link begin}: none in a partial sync. */
  dumps = 0
  /** Faults that were used up, ever. */
  injected = 0
  /** Runs before each commit; what it throws is the commit's answer. */
  beforeCommit: (batch: Batch) => void | Promise<void> = () => {}
  /** Replaces a batch on its way to the kernel. */
  rewrite: (batch: Batch) => Batch = (batch) => batch

  constructor(inner: NftClient) {
    this.#inner = inner
  }

  begin(faults: readonly Fault[] = []): void {
    this.#faults = [...faults]
    this.#writes = 0
    this.batches = []
    this.scripts = 0
    this.dumps = 0
  }

  async commit(batch: Batch, signal: AbortSignal): Promise<{ readonly generation: number }> {
    const fault = this.#nextFault(['refused', 'lost', 'written, then lost'])
    await this.beforeCommit(batch)
    const op = `commit to ${batch.family} ${batch.table}`
    if (fault?.kind === 'refused') throw KernelError.ofErrno(op, 22)
    if (fault?.kind === 'lost') throw new KernelError({ code: 'io', op })
    const sent = this.rewrite(batch)
    const result = await this.#inner.commit(sent, signal)
    this.batches.push(sent.finish().slice())
    if (fault !== undefined) throw KernelError.ofErrno(op, 105)
    return result
  }

  async runText(script: string, signal: AbortSignal): Promise<void> {
    const fault = this.#nextFault(['program', 'written, then lost'])
    const op = 'nft -f -'
    if (fault?.kind === 'program') throw new KernelError({ code: 'invalid', op, detail: 'ended with 1' })
    await this.#inner.runText(script, signal)
    this.scripts++
    if (fault !== undefined) throw new KernelError({ code: 'io', op, detail: 'ended with SIGKILL' })
  }

  generation(signal: AbortSignal): number {
    return this.#inner.generation(signal)
  }

  tables(signal: AbortSignal): ReturnType<NftClient['tables']> {
    return this.#inner.tables(signal)
  }

  chains(...args: Parameters<NftClient['chains']>): ReturnType<NftClient['chains']> {
    this.dumps++
    return this.#inner.chains(...args)
  }

  sets(...args: Parameters<NftClient['sets']>): ReturnType<NftClient['sets']> {
    this.dumps++
    return this.#inner.sets(...args)
  }

  rules(...args: Parameters<NftClient['rules']>): ReturnType<NftClient['rules']> {
    this.dumps++
    return this.#inner.rules(...args)
  }

  dumpElements(...args: Parameters<NftClient['dumpElements']>): Promise<void> {
    // What clients are remembered with is read back after a change; that is no look at what we wrote.
    if (args[1] !== 'affinity') this.dumps++
    return this.#inner.dumpElements(...args)
  }

  deleteTable(...args: Parameters<NftClient['deleteTable']>): Promise<void> {
    return this.#inner.deleteTable(...args)
  }

  version(signal: AbortSignal): Promise<string> {
    return this.#inner.version(signal)
  }

  close(): void {
    this.#inner.close()
  }

  #nextFault(kinds: readonly Fault['kind'][]): Fault | undefined {
    const write = this.#writes++
    const at = this.#faults.findIndex((fault) => fault.at === write && kinds.includes(fault.kind))
    if (at < 0) return undefined
    this.injected++
    return this.#faults.splice(at, 1)[0]
  }
}

import { NLM_F_REQUEST } from '../netlink/constants.ts'
import { KernelError, malformed } from '../netlink/error.ts'
import { MessageReader } from '../netlink/wire.ts'
import type { Batch } from './batch.ts'
import type { DumpElementsOptions, NftClient } from './client.ts'
import { NFNL_MSG_BATCH_BEGIN, NFNL_MSG_BATCH_END, type TableFamily } from './constants.ts'
import type { OnElement } from './element.ts'
import { applyMessage, Refused } from './fake-apply.ts'
import { FakeState, type FakeTable, referencesTo, tableKey } from './fake-state.ts'
import { runFakeScript } from './fake-text.ts'
import type { ChainInfo, RuleInfo, SetInfo, TableInfo, TableRef } from './objects.ts'

/**
 * nf_tables in memory. It decodes the very bytes of a batch, applies all or nothing, and refuses what the kernel
 * refuses: missing objects, chains in use, map elements with other data, keys of another width. Not modelled: packets,
 * timeouts running out, limits of sizes, overlapping intervals, loops of jumps.
 */
export class FakeNft implements NftClient {
  readonly #state = new FakeState()
  readonly #version: string
  /** Bytes of every batch that was committed. */
  readonly committed: Uint8Array[] = []
  /** Every script that was run. */
  readonly scripts: string[] = []
  /** Thrown by the next `commit` or `runText` instead of doing it, once. */
  failNext: Error | undefined

  constructor(version = '1.0.6') {
    this.#version = version
  }

  async commit(batch: Batch, signal: AbortSignal): Promise<{ readonly generation: number }> {
    signal.throwIfAborted()
    this.#failIfAsked()
    if (batch.messages === 0) return { generation: this.#state.generation }
    const bytes = batch.finish().slice()
    this.#state.begin()
    const error = this.#applyAll(batch, bytes)
    if (error !== undefined) {
      this.#state.rollBack()
      throw error
    }
    this.#state.commit()
    this.committed.push(bytes)
    return { generation: this.#state.generation }
  }

  generation(signal: AbortSignal): number {
    signal.throwIfAborted()
    return this.#state.generation
  }

  async runText(script: string, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    this.#failIfAsked()
    runFakeScript(this.#state, script)
    this.scripts.push(script)
  }

  async tables(signal: AbortSignal): Promise<readonly TableInfo[]> {
    signal.throwIfAborted()
    return [...this.#state.tables.values()].map(({ family, name, comment, handle }) => ({
      family,
      name,
      comment,
      handle,
    }))
  }

  async chains(table: TableRef, signal: AbortSignal): Promise<readonly ChainInfo[]> {
    signal.throwIfAborted()
    const found = this.#table(table, 'list chains')
    return [...found.chains.values()].map(({ name, comment, handle, base, rules }) => ({
      name,
      comment,
      handle,
      base,
      use: rules.length + referencesTo(found, name, true),
    }))
  }

  async sets(table: TableRef, signal: AbortSignal): Promise<readonly SetInfo[]> {
    signal.throwIfAborted()
    const sets = this.#table(table, 'list sets').sets.values()
    return [...sets].map(({ name, comment, handle, flags, keyLength, data }) => ({
      name,
      comment,
      handle,
      flags,
      keyLength,
      data,
    }))
  }

  /** `expressions` of rules that came as text is that text in UTF-8. */
  async rules(table: TableRef, signal: AbortSignal): Promise<readonly RuleInfo[]> {
    signal.throwIfAborted()
    const chains = [...this.#table(table, 'list rules').chains.values()]
    return chains.flatMap(({ name: chain, rules }) =>
      rules.map(({ handle, comment, expressions }) => ({ chain, handle, comment, expressions: expressions.slice() })),
    )
  }

  async dumpElements(
    table: TableRef,
    set: string,
    onElement: OnElement,
    signal: AbortSignal,
    _options: DumpElementsOptions = {},
  ): Promise<void> {
    signal.throwIfAborted()
    const found = this.#table(table, 'list elements').sets.get(set)
    if (found === undefined) throw KernelError.ofErrno(`list elements of ${table.family} ${table.name} ${set}`, 2)
    for (const { key, keyEnd, data, comment, flags } of found.elements.values())
      onElement(key, keyEnd, data, comment, flags, undefined)
  }

  async deleteTable(family: TableFamily, name: string, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    this.#state.begin()
    this.#state.remove(this.#state.tables, tableKey(family, name))
    this.#state.commit()
  }

  async version(signal: AbortSignal): Promise<string> {
    signal.throwIfAborted()
    return this.#version
  }

  close(): void {}

  #failIfAsked(): void {
    const error = this.failNext
    this.failNext = undefined
    if (error !== undefined) throw error
  }

  /** Goes on after a refusal, as the kernel does, and reports the first. */
  #applyAll(batch: Batch, bytes: Uint8Array): KernelError | undefined {
    let refused: { readonly error: Refused; readonly sequence: number } | undefined
    const messages = new MessageReader(bytes)
    let last = 0
    while (messages.next()) {
      if ((messages.flags & NLM_F_REQUEST) === 0) throw malformed('a message without NLM_F_REQUEST')
      if (last === 0 && messages.type !== NFNL_MSG_BATCH_BEGIN) throw malformed('a batch without BATCH_BEGIN')
      last = messages.type
      if (last === NFNL_MSG_BATCH_BEGIN || last === NFNL_MSG_BATCH_END) continue
      try {
        applyMessage(this.#state, messages)
      } catch (error) {
        if (!(error instanceof Refused)) throw error
        refused ??= { error, sequence: messages.sequence }
      }
    }
    if (last !== NFNL_MSG_BATCH_END) throw malformed('a batch without BATCH_END')
    if (refused === undefined) return undefined
    const { error, sequence } = refused
    return KernelError.ofErrno(`commit to ${batch.family} ${batch.table}`, error.errno, {
      offset: error.offset,
      tag: batch.tagOf(sequence, error.offset),
    })
  }

  #table(table: TableRef, op: string): FakeTable {
    const found = this.#state.tables.get(tableKey(table.family, table.name))
    if (found === undefined) throw KernelError.ofErrno(`${op} of ${table.family} ${table.name}`, 2)
    return found
  }
}

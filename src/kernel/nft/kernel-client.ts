import { assertNever } from '../../model/assert-never.ts'
import { Connection } from '../netlink/connection.ts'
import { protocols } from '../netlink/constants.ts'
import { dump } from '../netlink/dump.ts'
import { KernelError } from '../netlink/error.ts'
import type { Request } from '../netlink/request.ts'
import { openTransport, type Transport } from '../netlink/transport.ts'
import type { MessageReader, Writer } from '../netlink/wire.ts'
import { Batch } from './batch.ts'
import type { DumpElementsOptions, NftClient } from './client.ts'
import { commitName, readCommitReply } from './commit-result.ts'
import {
  familyNumber,
  NFGENMSG_LEN,
  NFT_MSG_GETCHAIN,
  NFT_MSG_GETGEN,
  NFT_MSG_GETRULE,
  NFT_MSG_GETSET,
  NFT_MSG_GETSETELEM,
  NFT_MSG_GETTABLE,
  NFTA_CHAIN_TABLE,
  NFTA_RULE_TABLE,
  NFTA_SET_ELEM_LIST_SET,
  NFTA_SET_ELEM_LIST_TABLE,
  NFTA_SET_TABLE,
  type TableFamily,
} from './constants.ts'
import { readChain, readGeneration, readGenerationBits, readName, readRule, readSet, readTable } from './decode.ts'
import { type OnElement, readElements } from './element.ts'
import { type NftProgram, nftVersion, runNft } from './nft-text.ts'
import type { ChainInfo, RuleInfo, SetInfo, TableInfo, TableRef } from './objects.ts'
import { OwnWriters } from './own-writers.ts'
import { RepeatCheck } from './repeats.ts'

export interface NftClientOptions {
  /** Name or path of the nft program; only `runText` and `version` need it. */
  readonly nft?: string
  /** Shared with a monitor, so that it can tell our changes from others'. */
  readonly writers?: OwnWriters
}

/** The kernel takes a batch as one datagram; this much is some five million elements. */
const sendBuffer = 256 * 1024 * 1024
/** Enough for the errors of thousands of messages. */
const receiveBuffer = 8 * 1024 * 1024
/** From here on a commit takes long enough (50 ms and more) to be worth a thread. */
const threadFrom = 1024 * 1024

const openNetfilter = (): Transport => openTransport({ protocol: protocols.netfilter, receiveBuffer })

/** Opens nf_tables of the network namespace that this process is in. */
export const openNftClient = (options: NftClientOptions = {}): NftClient => new KernelNftClient(options)

class KernelNftClient implements NftClient {
  readonly #writer: Transport
  readonly #questions: Connection
  readonly #writers: OwnWriters
  readonly #program: NftProgram
  /** Settles when the commit that runs on a thread has ended. */
  #inFlight: Promise<void> | undefined
  /** This kernel has acknowledged a BATCH_END before. */
  #confirms = false

  constructor({ nft = 'nft', writers = new OwnWriters() }: NftClientOptions) {
    this.#writer = openTransport({ protocol: protocols.netfilter, sendBuffer, receiveBuffer })
    this.#questions = new Connection(openNetfilter())
    this.#writers = writers
    this.#writers.add(this.#writer.portId)
    this.#program = { path: nft, onStart: (pid) => writers.add(pid), onEnd: (pid) => writers.release(pid) }
  }

  async commit(batch: Batch, signal: AbortSignal): Promise<{ readonly generation: number }> {
    signal.throwIfAborted()
    while (this.#inFlight !== undefined) {
      await this.#inFlight
      signal.throwIfAborted()
    }
    if (batch.messages === 0) return { generation: this.generation(signal) }
    const bytes = batch.finish()
    const before = this.generation(signal)
    if (bytes.length < threadFrom) {
      this.#writer.send(bytes)
      this.#readResult(batch, before)
    } else await this.#commitOnThread(batch, before, signal)
    this.#writers.committed()
    // The batch is committed whatever the signal says by now.
    return { generation: this.generation(never) }
  }

  generation(signal: AbortSignal): number {
    let generation = 0
    const request: Request = { op: 'get nf_tables generation', type: NFT_MSG_GETGEN, body: header('unspec') }
    this.#questions.request(
      request,
      signal,
      (message) => {
        generation = readGeneration(message)
      },
      'reply',
    )
    return generation
  }

  async runText(script: string, signal: AbortSignal): Promise<void> {
    await runNft(this.#program, ['-f', '-'], script, signal)
    this.#writers.committed()
  }

  async version(signal: AbortSignal): Promise<string> {
    return await nftVersion(this.#program, signal)
  }

  async tables(signal: AbortSignal): Promise<readonly TableInfo[]> {
    const request: Request = { op: 'list nf_tables tables', type: NFT_MSG_GETTABLE, body: header('unspec') }
    return await collect(request, readTable, signal)
  }

  async chains(table: TableRef, signal: AbortSignal): Promise<readonly ChainInfo[]> {
    const request: Request = {
      op: `list chains of ${nameOf(table)}`,
      type: NFT_MSG_GETCHAIN,
      body: header(table.family),
    }
    return await this.#collectOf(table, request, NFTA_CHAIN_TABLE, readChain, signal)
  }

  async sets(table: TableRef, signal: AbortSignal): Promise<readonly SetInfo[]> {
    const body = (writer: Writer): void => {
      header(table.family)(writer)
      writer.string(NFTA_SET_TABLE, table.name)
    }
    return await collect({ op: `list sets of ${nameOf(table)}`, type: NFT_MSG_GETSET, body }, readSet, signal)
  }

  async rules(table: TableRef, signal: AbortSignal): Promise<readonly RuleInfo[]> {
    const body = (writer: Writer): void => {
      header(table.family)(writer)
      writer.string(NFTA_RULE_TABLE, table.name)
    }
    const request: Request = { op: `list rules of ${nameOf(table)}`, type: NFT_MSG_GETRULE, body }
    return await this.#collectOf(table, request, NFTA_RULE_TABLE, readRule, signal)
  }

  async dumpElements(
    table: TableRef,
    set: string,
    onElement: OnElement,
    signal: AbortSignal,
    { restart, inexact = false }: DumpElementsOptions = {},
  ): Promise<void> {
    const body = (writer: Writer): void => {
      header(table.family)(writer)
      writer.string(NFTA_SET_ELEM_LIST_TABLE, table.name)
      writer.string(NFTA_SET_ELEM_LIST_SET, set)
    }
    const request: Request = { op: `list elements of ${nameOf(table)} ${set}`, type: NFT_MSG_GETSETELEM, body }
    const check = new RepeatCheck(request.op)
    const visit = inexact ? onElement : check.around(onElement)
    const again = (): void => {
      check.reset()
      restart?.()
    }
    await dump(openNetfilter, request, (message) => readElements(message, visit), signal, {
      generationOf: readGenerationBits,
      ...(restart === undefined ? {} : { restart: again }),
    })
  }

  async deleteTable(family: TableFamily, name: string, signal: AbortSignal): Promise<void> {
    const batch = new Batch(family, name)
    batch.deleteTable()
    try {
      await this.commit(batch, signal)
    } catch (error) {
      if (!(error instanceof KernelError) || error.code !== 'notFound') throw error
    }
  }

  close(): void {
    this.#writers.release(this.#writer.portId)
    this.#writer.close()
    this.#questions.close()
  }

  async #commitOnThread(batch: Batch, before: number, signal: AbortSignal): Promise<void> {
    // Ends only when the replies have been read: they would be taken for those of the next batch.
    const work = async (): Promise<void> => {
      try {
        await this.#writer.sendAsync(batch.finish(), signal)
        this.#readResult(batch, before)
      } finally {
        this.#inFlight = undefined
      }
    }
    const done = work()
    this.#inFlight = done.catch(() => {})
    await done
  }

  /** Returns if the batch was committed, throws why it was not. */
  #readResult(batch: Batch, before: number): void {
    const reply = readCommitReply(() => this.#writer.receive(), batch)
    const op = commitName(batch)
    switch (reply.kind) {
      case 'confirmed':
        this.#confirms = true
        return
      case 'refused':
        throw reply.error
      case 'lost':
        if (this.generation(never) === before) throw new KernelError({ code: 'overflow', op, cause: reply.cause })
        return
      case 'silent':
        // A batch that changes nothing leaves the generation alone, so that is no proof of failure.
        if (this.#confirms) throw new KernelError({ code: 'io', op, detail: 'the kernel did not confirm the commit' })
        return
      default:
        assertNever(reply, 'commit reply')
    }
  }

  /** Chains and rules of one table; the kernel answers for a table that does not exist with an empty list. */
  async #collectOf<T>(
    table: TableRef,
    request: Request,
    attribute: number,
    read: (message: MessageReader) => T,
    signal: AbortSignal,
  ): Promise<readonly T[]> {
    const mine = (message: MessageReader): T | undefined =>
      readName(message, attribute) === table.name ? read(message) : undefined
    const found = await collect(request, mine, signal)
    if (found.length > 0) return found
    const tables = await this.tables(signal)
    if (tables.some(({ family, name }) => family === table.family && name === table.name)) return found
    throw new KernelError({ code: 'notFound', op: request.op, detail: 'no such table' })
  }
}

const never = new AbortController().signal

const nameOf = ({ family, name }: TableRef): string => `${family} ${name}`

const header =
  (family: TableFamily | 'unspec') =>
  (writer: Writer): void => {
    const at = writer.reserve(NFGENMSG_LEN)
    writer.view.setUint8(at, family === 'unspec' ? 0 : familyNumber[family])
  }

const collect = async <T>(
  request: Request,
  read: (message: MessageReader) => T | undefined,
  signal: AbortSignal,
): Promise<readonly T[]> => {
  let found: T[] = []
  const restart = (): void => {
    found = []
  }
  const onMessage = (message: MessageReader): void => {
    const item = read(message)
    if (item !== undefined) found.push(item)
  }
  await dump(openNetfilter, request, onMessage, signal, { restart, generationOf: readGenerationBits })
  return found
}

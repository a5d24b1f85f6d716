import { Connection } from '../netlink/connection.ts'
import { protocols } from '../netlink/constants.ts'
import { type Subscription, subscribe } from '../netlink/subscription.ts'
import { openTransport } from '../netlink/transport.ts'
import type { MessageReader, Writer } from '../netlink/wire.ts'
import {
  NFGENMSG_LEN,
  NFNLGRP_NFTABLES,
  NFT_MSG_DELCHAIN,
  NFT_MSG_DELRULE,
  NFT_MSG_GETGEN,
  NFT_MSG_NEWCHAIN,
  NFT_MSG_NEWGEN,
  NFT_MSG_NEWRULE,
  NFTA_CHAIN_NAME,
  NFTA_RULE_CHAIN,
} from './constants.ts'
import { readFamily, readGeneration, readName } from './decode.ts'
import type { TableRef } from './objects.ts'
import type { OwnWriters } from './own-writers.ts'

export type NftEvent =
  /** One transaction of somebody else, and the tables it touched. */
  | { readonly kind: 'foreignChange'; readonly tables: readonly TouchedTable[] }
  /** Events were lost: anything may have changed. */
  | { readonly kind: 'overflow' }

export interface TouchedTable extends TableRef {
  /** The chains that were touched; undefined when more than chains and their rules was: sets, or the table itself. */
  readonly chains: ReadonlySet<string> | undefined
}

export interface NftMonitor {
  /**
   * Stops listening, for a change of our own that is so large that its events would flood the socket. What others do
   * meanwhile shows in the generation of the ruleset: {@link resume} reports it as `overflow`. Pauses may nest.
   */
  pause(): void
  resume(): void
  /** Reads what waits now instead of in the next turn of the event loop. */
  poll(): void
  close(): void
}

export interface NftMonitorOptions {
  /** Whose transactions to ignore; share it with the client. */
  readonly writers: OwnWriters
  /** Must not throw. */
  readonly report: (event: NftEvent) => void
  /** Bytes of events that may wait. Default 16 MiB: some 100,000 elements. */
  readonly receiveBuffer?: number
}

/** NFTA_*_TABLE, and NFTA_TABLE_NAME: the same number in every kind of nf_tables object. */
const tableAttribute = 1

/** Where messages name the chain that they are about. */
const chainAttributes: ReadonlyMap<number, number> = new Map([
  [NFT_MSG_NEWCHAIN, NFTA_CHAIN_NAME],
  [NFT_MSG_DELCHAIN, NFTA_CHAIN_NAME],
  [NFT_MSG_NEWRULE, NFTA_RULE_CHAIN],
  [NFT_MSG_DELRULE, NFTA_RULE_CHAIN],
])

interface Touched extends TableRef {
  chains: Set<string> | undefined
}

/** Watches every table of this network namespace for changes that are not ours. Does not keep the process alive. */
export const openNftMonitor = (options: NftMonitorOptions): NftMonitor => new KernelNftMonitor(options)

class KernelNftMonitor implements NftMonitor {
  readonly #events: Subscription
  readonly #closed = new AbortController()
  readonly #questions: Connection
  readonly #writers: OwnWriters
  readonly #report: (event: NftEvent) => void
  /** Tables of the transaction being read: NEWGEN ends it. */
  readonly #tables = new Map<string, Touched>()
  #pauses = 0
  #pausedGeneration = 0
  #pausedCommits = 0

  constructor({ writers, report, receiveBuffer = 16 * 1024 * 1024 }: NftMonitorOptions) {
    this.#writers = writers
    this.#report = report
    this.#questions = new Connection(openTransport({ protocol: protocols.netfilter }))
    const handlers = {
      onMessage: (message: MessageReader) => this.#onMessage(message),
      onLost: () => this.#onLost(),
    }
    const where = { protocol: protocols.netfilter, groups: [NFNLGRP_NFTABLES], receiveBuffer }
    try {
      this.#events = subscribe(where, handlers, this.#closed.signal)
    } catch (error) {
      this.#questions.close()
      throw error
    }
  }

  pause(): void {
    this.#pauses++
    if (this.#pauses > 1) return
    this.#pausedCommits = this.#writers.commits
    // Before leaving: a change that falls between the two is reported twice rather than never.
    this.#pausedGeneration = this.#generation()
    this.#events.leave(NFNLGRP_NFTABLES)
    this.poll()
  }

  resume(): void {
    if (this.#pauses === 0) return
    this.#pauses--
    if (this.#pauses > 0) return
    this.#events.join(NFNLGRP_NFTABLES)
    const passed = (this.#generation() - this.#pausedGeneration) >>> 0
    if (passed > this.#writers.commits - this.#pausedCommits) this.#report({ kind: 'overflow' })
  }

  poll(): void {
    this.#events.poll()
  }

  close(): void {
    this.#closed.abort()
    this.#questions.close()
  }

  #onLost(): void {
    // Of a transaction whose end may be among what was lost.
    this.#tables.clear()
    this.#report({ kind: 'overflow' })
  }

  #onMessage(message: MessageReader): void {
    if (message.type === NFT_MSG_NEWGEN) {
      const tables = [...this.#tables.values()]
      this.#tables.clear()
      if (!this.#writers.has(message.portId)) this.#report({ kind: 'foreignChange', tables })
      return
    }
    const family = readFamily(message)
    const name = readName(message, tableAttribute)
    if (family !== undefined && name !== undefined) this.#touch({ family, name }, message)
  }

  #touch(table: TableRef, message: MessageReader): void {
    const key = `${table.family} ${table.name}`
    let touched = this.#tables.get(key)
    if (touched === undefined) {
      touched = { ...table, chains: new Set() }
      this.#tables.set(key, touched)
    }
    const attribute = chainAttributes.get(message.type)
    const chain = attribute === undefined ? undefined : readName(message, attribute)
    if (chain === undefined) touched.chains = undefined
    else touched.chains?.add(chain)
  }

  #generation(): number {
    let generation = 0
    const body = (writer: Writer): void => {
      writer.reserve(NFGENMSG_LEN)
    }
    const request = { op: 'get nf_tables generation', type: NFT_MSG_GETGEN, body }
    this.#questions.request(
      request,
      this.#closed.signal,
      (message) => {
        generation = readGeneration(message)
      },
      'reply',
    )
    return generation
  }
}

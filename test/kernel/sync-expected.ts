import type { ChainClass } from '../../src/backends/nftables/class.ts'
import { classRules } from '../../src/backends/nftables/class-rules.ts'
import { writeElement } from '../../src/backends/nftables/codec.ts'
import { type Element, elementContent, elementKey } from '../../src/backends/nftables/element.ts'
import { hostElements, layOutService } from '../../src/backends/nftables/layout.ts'
import { nftFamily, tableName } from '../../src/backends/nftables/schema.ts'
import { MessageReader } from '../../src/kernel/netlink/wire.ts'
import { Batch } from '../../src/kernel/nft/batch.ts'
import { NFT_MSG_DELSETELEM, NFT_MSG_NEWSETELEM, NFTA_SET_ELEM_LIST_SET } from '../../src/kernel/nft/constants.ts'
import { readName } from '../../src/kernel/nft/decode.ts'
import { readElements } from '../../src/kernel/nft/element.ts'
import type { ServiceState } from '../../src/model/desired.ts'
import type { HostState } from '../../src/model/host.ts'

/** What a family's table has to hold, worked out from all states at once: no counting of users, no order of events. */
export interface Wanted {
  readonly host: HostState
  readonly elements: ReadonlyMap<string, Element>
  readonly chains: ReadonlyMap<string, ChainClass>
}

export const wantedOf = (host: HostState, states: Iterable<ServiceState>): Wanted => {
  const elements = new Map<string, Element>()
  const chains = new Map<string, ChainClass>()
  const element = (each: Element): void => void elements.set(elementKey(each), each)
  for (const each of hostElements(host)) element(each)
  for (const state of states) layOutService(state, { element, chain: (name, chain) => void chains.set(name, chain) })
  return { host, elements, chains }
}

/** Elements on the wire, as `op set key`, sorted. */
export type WireElements = readonly string[]

/** The fewest deletions and additions that lead from one to the other. */
export const leastElements = (before: Wanted, after: Wanted): WireElements => {
  const batch = new Batch(nftFamily(after.host.family), tableName)
  const write = (op: 'add' | 'delete', element: Element): void => {
    batch.elements(op, element.set)
    writeElement(batch, element, op, after.host.family)
  }
  for (const [key, element] of before.elements) {
    const next = after.elements.get(key)
    if (next === undefined || elementContent(next) !== elementContent(element)) write('delete', element)
    if (next !== undefined && elementContent(next) !== elementContent(element)) write('add', next)
  }
  for (const [key, element] of after.elements) if (!before.elements.has(key)) write('add', element)
  return wireElements([batch.finish()])
}

export const wireElements = (batches: readonly Uint8Array[]): WireElements => {
  const found: string[] = []
  for (const bytes of batches) {
    const message = new MessageReader(bytes)
    while (message.next()) {
      if (message.type !== NFT_MSG_NEWSETELEM && message.type !== NFT_MSG_DELSETELEM) continue
      const op = message.type === NFT_MSG_NEWSETELEM ? 'add' : 'delete'
      const set = readName(message, NFTA_SET_ELEM_LIST_SET)
      readElements(message, (key, _keyEnd, _data, _comment, flags) => {
        found.push(`${op} ${set} ${Buffer.from(key).toString('hex')} ${flags}`)
      })
    }
  }
  return found.sort()
}

/** Messages that the chains which come into use need: each is made, emptied and filled. */
export const chainMessages = (before: Wanted, after: Wanted, all: boolean): number => {
  let count = 0
  for (const [name, chain] of after.chains)
    if (all || !before.chains.has(name)) count += 2 + classRules(chain, after.host).length
  return count
}

export const messagesIn = (bytes: Uint8Array): number => {
  let count = 0
  const message = new MessageReader(bytes)
  while (message.next()) count++
  // Begin and end of the batch are no changes.
  return count - 2
}

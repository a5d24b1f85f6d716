import { Batch } from '../../kernel/nft/batch.ts'
import type { HostState } from '../../model/host.ts'
import type { ServiceKey } from '../../model/names.ts'
import type { PlanSummary } from '../backend.ts'
import type { ChainClass } from './class.ts'
import { classRules } from './class-rules.ts'
import { writeElement } from './codec.ts'
import type { ElementDiff } from './diff.ts'
import type { Element } from './element.ts'
import { nftFamily, type SetName, tableName } from './schema.ts'

export const newBatch = ({ family }: HostState): Batch => new Batch(nftFamily(family), tableName)

export const writeChains = (batch: Batch, chains: ReadonlyMap<string, ChainClass>, host: HostState): void => {
  for (const name of chains.keys()) {
    batch.addChain(name)
    batch.flushChain(name)
  }
  for (const [name, chain] of chains) for (const { exprs } of classRules(chain, host)) batch.addRule(name, exprs)
}

/** Beside each added element the one Service that wants it, if it is one: an error about the element names it. */
export type Owners = readonly (ServiceKey | undefined)[]

export const writeDiff = (
  batch: Batch,
  { removed, added }: ElementDiff,
  flushed: readonly SetName[],
  host: HostState,
  owners: Owners = [],
): void => {
  for (const set of flushed) batch.flushSet(set)
  const single = flushed.length === 0 ? removed : removed.filter(({ set }) => !flushed.includes(set))
  writeElements(batch, single, 'delete', host, [])
  writeElements(batch, added, 'add', host, owners)
}

const writeElements = (
  batch: Batch,
  elements: readonly Element[],
  op: 'add' | 'delete',
  { family }: HostState,
  owners: Owners,
): void => {
  const bySet = new Map<SetName, number[]>()
  elements.forEach(({ set }, i) => {
    const list = bySet.get(set)
    if (list === undefined) bySet.set(set, [i])
    else list.push(i)
  })
  for (const [set, list] of bySet) {
    batch.elements(op, set)
    for (const i of list) {
      const element = elements[i]
      if (element === undefined) continue
      batch.mark(owners[i])
      writeElement(batch, element, op, family)
    }
  }
}

export const summarise = (batch: Batch, added: number, removed: number, structure: boolean): PlanSummary => ({
  empty: batch.messages === 0 && !structure,
  added,
  removed,
  structure,
})

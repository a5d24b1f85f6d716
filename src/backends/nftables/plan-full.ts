import type { Batch } from '../../kernel/nft/batch.ts'
import type { ServiceState } from '../../model/desired.ts'
import type { HostState } from '../../model/host.ts'
import type { ServiceKey } from '../../model/names.ts'
import type { Change } from '../backend.ts'
import { addAllowed } from './affinity.ts'
import type { ChainClass } from './class.ts'
import { classRules } from './class-rules.ts'
import { writeElement } from './codec.ts'
import type { ElementDiff } from './diff.ts'
import { type Element, elementContent, elementOfKey, keyText } from './element.ts'
import { endsIntact, holdsEnds } from './interval-ends.ts'
import { hostElements, layOutService } from './layout.ts'
import { isShared, Ledger, LedgerDelta } from './ledger.ts'
import type { ObservedTable } from './observe.ts'
import type { NftPlan } from './plan.ts'
import { newBatch, summarise, writeChains, writeDiff } from './plan-write.ts'
import { nftFamily, type SetName, tableName } from './schema.ts'
import { fixedChains, isLayoutMarker, layoutMarker, structureScript } from './structure.ts'

/**
 * From whatever is in the kernel to what should be. What is already right is not written again, so a restart over an
 * unchanged cluster touches no element. The structure is written when it differs, or when `rewrite` says that looking
 * the same is not enough.
 */
export const planFull = (
  { host, services, rewrite }: Extract<Change, { kind: 'full' }>,
  observed: ObservedTable | undefined,
): NftPlan => {
  const usable = observed?.kind === 'table'
  const present = usable ? observed.elements : undefined
  const flushed = new Set(usable ? observed.garbled : [])
  for (const [set, found] of present ?? []) if (holdsEnds(set) && !endsIntact(set, found, host)) flushed.add(set)
  const delta = new LedgerDelta()
  const batch = newBatch(host)
  const diff: ElementDiff = { removed: [], added: [] }
  const counts = new Map<SetName, number>()
  const allowed = new Map<string, ReadonlySet<string>>()
  /** Of the elements that a single Service wants: an error about one of them names it. */
  const owners = new Map<Element, ServiceKey>()
  let streamed = 0
  const add = (element: Element, owner: ServiceKey | undefined): void => {
    diff.added.push(element)
    if (owner !== undefined) owners.set(element, owner)
  }
  const want = (element: Element, owner?: ServiceKey): void => {
    counts.set(element.set, (counts.get(element.set) ?? 0) + 1)
    if (present === undefined) {
      if (element.set === bulk) streamed++
      else add(element, owner)
      return
    }
    const found = flushed.has(element.set) ? undefined : present.get(element.set)
    const key = keyText(element)
    if (found?.get(key) === elementContent(element)) found.delete(key)
    else add(element, owner)
  }
  const states = [...services]
  for (const state of states) {
    addAllowed(state, allowed)
    layOutService(state, {
      element: (element) => {
        if (isShared(element)) delta.element(element, 1)
        else want(element, state.service)
      },
      chain: (name, chain) => delta.chain(name, chain, 1),
    })
  }
  for (const { value } of delta.shared.values()) want(value)
  for (const element of hostElements(host)) want(element)
  // Whatever is left of the observed elements is unwanted, or there with another value.
  for (const [set, found] of present ?? []) {
    for (const key of found.keys()) diff.removed.push(elementOfKey(set, key))
  }

  const ledger = new Ledger()
  ledger.absorb(delta)
  const known = usable ? observed.chains : new Map<string, number>()
  const structure = rewrite || !usable || observed.missing.length > 0 || !structureIntact(host, known)
  const rewritten = new Map<string, ChainClass>()
  for (const [name, chain] of ledger.usedChains()) {
    if (structure || known.get(name) !== classRules(chain, host).length) rewritten.set(name, chain)
  }
  noteForeignChains(ledger, known, host)
  const marker = layoutMarker(host)
  batch.mark(undefined)
  if (structure && !known.has(marker)) batch.addChain(marker)
  // Before the elements: for every chain that looks something up in a map, the kernel walks all that is in the map.
  writeChains(batch, rewritten, host)
  if (present === undefined) writeBulk(batch, states, host)
  writeDiff(batch, diff, [...flushed], host, owners)
  const markers = [...known.keys()].filter((name) => isLayoutMarker(name) && name !== marker)
  const reset = observed?.kind === 'incompatible' ? `delete table ${nftFamily(host.family)} ${tableName}\n` : ''
  return {
    summary: summarise(batch, streamed + diff.added.length, diff.removed.length, structure),
    script: structure ? `${reset}${structureScript(host, markers)}` : undefined,
    batch,
    host,
    counts,
    sweep: usable ? { frontends: allowed, exhaustive: true } : undefined,
    allowed,
    outcome: { kind: 'replace', ledger },
  }
}

/** By far the largest set. On an empty table it goes straight into the batch: no list of all elements is ever held. */
const bulk: SetName = 'endpoints'

const writeBulk = (batch: Batch, states: readonly ServiceState[], { family }: HostState): void => {
  batch.elements('add', bulk)
  for (const state of states) {
    batch.mark(state.service)
    layOutService(state, {
      element: (element) => {
        if (element.set === bulk) writeElement(batch, element, 'add', family)
      },
      chain: () => {},
    })
  }
}

const structureIntact = (host: HostState, chains: ReadonlyMap<string, number>): boolean =>
  chains.has(layoutMarker(host)) &&
  fixedChains(host).every(({ name, rules, elsewhere }) => elsewhere === true || chains.get(name) === rules.length)

/** Chains that nothing of ours uses any more (an older version's, or a class gone out of use) are tidied away later. */
const noteForeignChains = (ledger: Ledger, chains: ReadonlyMap<string, number>, host: HostState): void => {
  const fixed = new Map(fixedChains(host).map((chain) => [chain.name, chain]))
  for (const [name, rules] of chains) {
    const chain = fixed.get(name)
    if (chain === undefined ? !isLayoutMarker(name) : chain.elsewhere === true && rules > 0) ledger.noteChain(name)
  }
}

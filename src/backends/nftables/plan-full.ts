import type { Batch } from '../../kernel/nft/batch.ts'
import type { HostState } from '../../model/host.ts'
import type { ServiceKey } from '../../model/names.ts'
import type { Change } from '../backend.ts'
import { addAllowed } from './affinity.ts'
import type { ChainClass } from './class.ts'
import { classRules } from './class-rules.ts'
import { writeSlots } from './codec.ts'
import type { ElementDiff } from './diff.ts'
import { type Element, elementContent, elementOfKey, keyText } from './element.ts'
import { endsIntact, holdsEnds } from './interval-ends.ts'
import { hostElements, layOutService, type SlotRun, slotElements } from './layout.ts'
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
  const owners: (ServiceKey | undefined)[] = []
  /** On an empty table the bulk goes straight into the batch: no list of all elements is ever held. */
  const runs: { readonly run: SlotRun; readonly owner: ServiceKey }[] = []
  const add = (element: Element, owner: ServiceKey | undefined): void => {
    diff.added.push(element)
    owners.push(owner)
  }
  const want = (element: Element, owner?: ServiceKey): void => {
    counts.set(element.set, (counts.get(element.set) ?? 0) + 1)
    if (present === undefined) {
      add(element, owner)
      return
    }
    const found = flushed.has(element.set) ? undefined : present.get(element.set)
    const key = keyText(element)
    if (found?.get(key) === elementContent(element)) found.delete(key)
    else add(element, owner)
  }
  for (const state of services) {
    addAllowed(state, allowed)
    layOutService(state, {
      element: (element) => {
        if (isShared(element)) delta.element(element, 1)
        else want(element, state.service)
      },
      slots: (run) => {
        if (present === undefined) runs.push({ run, owner: state.service })
        else for (const element of slotElements(run)) want(element, state.service)
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
  const streamed = writeRuns(batch, runs, host, counts)
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

/** Returns the number of elements. */
const writeRuns = (
  batch: Batch,
  runs: readonly { readonly run: SlotRun; readonly owner: ServiceKey }[],
  { family }: HostState,
  counts: Map<SetName, number>,
): number => {
  let written = 0
  for (const set of ['endpoints', 'nodeport-endpoints'] as const) {
    let count = 0
    for (const { run, owner } of runs) {
      if (run.set !== set) continue
      batch.elements('add', set)
      batch.mark(owner)
      writeSlots(batch, run, family)
      count += run.targets.length
    }
    if (count > 0) counts.set(set, count)
    written += count
  }
  return written
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

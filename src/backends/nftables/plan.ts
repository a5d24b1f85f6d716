import { Batch } from '../../kernel/nft/batch.ts'
import type { HostState } from '../../model/host.ts'
import type { ServicePortId } from '../../model/names.ts'
import type { Change, PlanSummary, ServiceChange } from '../backend.ts'
import { type AffinitySweep, addAllowed, addStale } from './affinity.ts'
import type { ChainClass } from './class.ts'
import { classRules } from './class-rules.ts'
import { writeElement } from './codec.ts'
import { diffElements, type ElementDiff } from './diff.ts'
import { type Element, elementContent, elementKey, elementOfKey, keyText } from './element.ts'
import { hostElements, layOutService } from './layout.ts'
import { isShared, Ledger, LedgerDelta } from './ledger.ts'
import type { ObservedTable } from './observe.ts'
import { nftFamily, type SetName, schemaOf, tableName } from './schema.ts'
import { fixedChains, isLayoutMarker, layoutMarker, structureScript } from './structure.ts'

/** What one apply writes: the structure as text if it has to change, then one atomic batch. */
export interface NftPlan {
  readonly summary: PlanSummary
  readonly script: string | undefined
  readonly batch: Batch
  readonly host: HostState
  /** Elements by set: all of them after a full plan, the difference otherwise. */
  readonly counts: ReadonlyMap<SetName, number>
  /** Remembered clients to forget once the batch is in. */
  readonly sweep: AffinitySweep | undefined
  /** By frontend, of the services that this plan changes: with whom clients may be remembered from now on. */
  readonly allowed: ReadonlyMap<string, ReadonlySet<string>>
  /** How the ledger follows when the batch is in: a fresh one after a full plan, a change of it otherwise. */
  readonly outcome:
    | { readonly kind: 'replace'; readonly ledger: Ledger }
    | { readonly kind: 'absorb'; readonly delta: LedgerDelta }
}

/** What the planner knows of the kernel: the outcome of all earlier applies. */
export interface Belief {
  readonly host: HostState
  readonly ledger: Ledger
}

export const planChange = (
  change: Change,
  belief: Belief | undefined,
  observed: ObservedTable | undefined,
): NftPlan => {
  if (change.kind === 'full') return planFull(change, observed)
  if (belief === undefined) throw new RangeError('a delta needs an earlier full apply')
  return planDelta(change.host, change.services, belief)
}

const planDelta = (
  host: HostState,
  services: ReadonlyMap<ServicePortId, ServiceChange>,
  { host: oldHost, ledger }: Belief,
): NftPlan => {
  const diff: ElementDiff = { removed: [], added: [] }
  const delta = new LedgerDelta()
  const stale = new Map<string, ReadonlySet<string>>()
  const allowed = new Map<string, ReadonlySet<string>>()
  for (const { before, after } of services.values()) {
    addStale(before, after, stale)
    if (after !== undefined) addAllowed(after, allowed)
    const lists = { before: [] as Element[], after: [] as Element[] }
    for (const side of ['before', 'after'] as const) {
      const state = side === 'before' ? before : after
      const sign = side === 'before' ? -1 : 1
      if (state === undefined) continue
      layOutService(state, {
        element: (element) => {
          if (isShared(element)) delta.element(element, sign)
          else lists[side].push(element)
        },
        chain: (name, chain) => delta.chain(name, chain, sign),
      })
    }
    diffElements(lists.before, lists.after, diff)
  }
  diffShared(delta, ledger, diff)
  const flushed = oldHost === host ? [] : diffHost(oldHost, host, diff)

  const structure = oldHost !== host && layoutMarker(host) !== layoutMarker(oldHost)
  const chains = new Map<string, ChainClass>()
  if (structure) for (const [name, chain] of ledger.usedChains()) chains.set(name, chain)
  for (const [name, { value, uses }] of delta.chains) {
    const before = ledger.chainUses(name)
    if (before + uses === 0) chains.delete(name)
    // Also one that is still there, unused: its rules may be those of another time.
    else if (before === 0) chains.set(name, value)
  }
  const batch = newBatch(host)
  writeChains(batch, chains, host)
  writeDiff(batch, diff, flushed, host)
  return {
    summary: summarise(batch, diff.added.length, diff.removed.length, structure),
    script: structure ? structureScript(host, [layoutMarker(oldHost)]) : undefined,
    batch,
    host,
    counts: countBySet(diff),
    sweep: stale.size === 0 ? undefined : { frontends: stale, exhaustive: false },
    allowed,
    outcome: { kind: 'absorb', delta },
  }
}

const countBySet = ({ removed, added }: ElementDiff): ReadonlyMap<SetName, number> => {
  const counts = new Map<SetName, number>()
  for (const { set } of added) counts.set(set, (counts.get(set) ?? 0) + 1)
  for (const { set } of removed) counts.set(set, (counts.get(set) ?? 0) - 1)
  return counts
}

/**
 * Sets whose elements are the ends of intervals. The kernel takes an end only together with its beginning, so such a set
 * is written anew or not at all. They are small.
 */
const holdsEnds = (set: SetName): boolean => schemaOf(set).key.includes('boundary')

/** Returns the sets to be flushed, because {@link holdsEnds}. */
const diffHost = (before: HostState, after: HostState, into: ElementDiff): readonly SetName[] => {
  const [old, next] = [hostElements(before), hostElements(after)]
  const isEnd = ({ set }: Element): boolean => holdsEnds(set)
  const isOther = (element: Element): boolean => !isEnd(element)
  diffElements(old.filter(isOther), next.filter(isOther), into)
  const ends = { removed: old.filter(isEnd), added: next.filter(isEnd) }
  if (ends.removed.map(elementKey).join() === ends.added.map(elementKey).join()) return []
  into.removed.push(...ends.removed)
  into.added.push(...ends.added)
  return [...new Set([...ends.removed, ...ends.added].map(({ set }) => set))]
}

/** Whether a set that {@link holdsEnds} is as `host` wants it. */
const endsIntact = (set: SetName, found: ReadonlyMap<string, string>, host: HostState): boolean => {
  const wanted = hostElements(host).filter((element) => element.set === set)
  return found.size === wanted.length && wanted.every((element) => found.has(keyText(element)))
}

/** A shared element appears with its first user and goes with its last. */
const diffShared = (delta: LedgerDelta, ledger: Ledger, diff: ElementDiff): void => {
  for (const { value: element, uses } of delta.shared.values()) {
    const before = ledger.uses(element)
    if (before === 0 && uses > 0) diff.added.push(element)
    else if (before > 0 && before + uses === 0) diff.removed.push(element)
  }
}

/**
 * From whatever is in the kernel to what should be. What is already right is not written again, so a restart over an
 * unchanged cluster touches no element. The structure is written when it differs, or when `rewrite` says that looking
 * the same is not enough.
 */
const planFull = (
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
  let streamed = 0
  const want = (element: Element): void => {
    counts.set(element.set, (counts.get(element.set) ?? 0) + 1)
    if (present === undefined) {
      // On an empty table the bulk goes straight into the batch: no list of all elements is ever held.
      if (element.set !== 'endpoints') diff.added.push(element)
      else {
        batch.elements('add', element.set)
        writeElement(batch, element, 'add', host.family)
        streamed++
      }
      return
    }
    const found = flushed.has(element.set) ? undefined : present.get(element.set)
    const key = keyText(element)
    if (found?.get(key) === elementContent(element)) found.delete(key)
    else diff.added.push(element)
  }
  for (const state of services) {
    addAllowed(state, allowed)
    layOutService(state, {
      element: (element) => {
        if (isShared(element)) delta.element(element, 1)
        else want(element)
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
  const structure = rewrite || !usable || !structureIntact(host, known)
  const rewritten = new Map<string, ChainClass>()
  for (const [name, chain] of ledger.usedChains()) {
    if (structure || known.get(name) !== classRules(chain, host).length) rewritten.set(name, chain)
  }
  noteForeignChains(ledger, known, host)
  writeChains(batch, rewritten, host)
  writeDiff(batch, diff, [...flushed], host)
  const markers = [...known.keys()].filter((name) => isLayoutMarker(name) && name !== layoutMarker(host))
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

const newBatch = ({ family }: HostState): Batch => new Batch(nftFamily(family), tableName)

const writeChains = (batch: Batch, chains: ReadonlyMap<string, ChainClass>, host: HostState): void => {
  for (const name of chains.keys()) {
    batch.addChain(name)
    batch.flushChain(name)
  }
  for (const [name, chain] of chains) for (const { exprs } of classRules(chain, host)) batch.addRule(name, exprs)
}

const writeDiff = (
  batch: Batch,
  { removed, added }: ElementDiff,
  flushed: readonly SetName[],
  host: HostState,
): void => {
  for (const set of flushed) batch.flushSet(set)
  const single = flushed.length === 0 ? removed : removed.filter(({ set }) => !flushed.includes(set))
  writeElements(batch, single, 'delete', host)
  writeElements(batch, added, 'add', host)
}

const writeElements = (
  batch: Batch,
  elements: readonly Element[],
  op: 'add' | 'delete',
  { family }: HostState,
): void => {
  const bySet = new Map<SetName, Element[]>()
  for (const element of elements) {
    const list = bySet.get(element.set)
    if (list === undefined) bySet.set(element.set, [element])
    else list.push(element)
  }
  for (const [set, list] of bySet) {
    batch.elements(op, set)
    for (const element of list) writeElement(batch, element, op, family)
  }
}

const summarise = (batch: Batch, added: number, removed: number, structure: boolean): PlanSummary => ({
  empty: batch.messages === 0 && !structure,
  added,
  removed,
  structure,
})

import type { HostState } from '../../model/host.ts'
import type { ServicePortId } from '../../model/names.ts'
import type { ServiceChange } from '../backend.ts'
import { addAllowed, addStale } from './affinity.ts'
import type { ChainClass } from './class.ts'
import { diffElements, type ElementDiff } from './diff.ts'
import type { Element } from './element.ts'
import { diffHost } from './interval-ends.ts'
import { layOutService } from './layout.ts'
import { isShared, type Ledger, LedgerDelta } from './ledger.ts'
import type { Belief, NftPlan } from './plan.ts'
import { newBatch, summarise, writeChains, writeDiff } from './plan-write.ts'
import type { SetName } from './schema.ts'
import { layoutMarker, structureScript } from './structure.ts'

/** From what was last applied: the cost follows the change, not the cluster. */
export const planDelta = (
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
  if (structure) batch.addChain(layoutMarker(host))
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

/** A shared element appears with its first user and goes with its last. */
const diffShared = (delta: LedgerDelta, ledger: Ledger, diff: ElementDiff): void => {
  for (const { value: element, uses } of delta.shared.values()) {
    const before = ledger.uses(element)
    if (before === 0 && uses > 0) diff.added.push(element)
    else if (before > 0 && before + uses === 0) diff.removed.push(element)
  }
}

import type { Change } from '../backend.ts'
import type { ObservedTable } from './observe.ts'
import type { Belief, NftPlan } from './plan.ts'
import { planDelta } from './plan-delta.ts'
import { planFull } from './plan-full.ts'

export const planChange = (
  change: Change,
  belief: Belief | undefined,
  observed: ObservedTable | undefined,
): NftPlan => {
  if (change.kind === 'full') return planFull(change, observed)
  if (belief === undefined) throw new RangeError('a delta needs an earlier full apply')
  return planDelta(change.host, change.services, belief)
}

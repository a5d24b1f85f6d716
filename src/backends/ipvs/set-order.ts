import type { SetChanges } from '../rules/set-schema.ts'
import type { SetRole } from './sets.ts'

/** Members of this set are asked for their sources: those must be known before it, and as long as it. */
const guard: SetRole = 'LOAD-BALANCER-FW'

/** In an order in which nobody who may pass is ever turned away. */
export const orderSets = (changes: SetChanges<SetRole>): SetChanges<SetRole> => ({
  ...changes,
  add: new Map([...changes.add].sort(([a], [b]) => Number(a === guard) - Number(b === guard))),
  remove: new Map([...changes.remove].sort(([a], [b]) => Number(b === guard) - Number(a === guard))),
})

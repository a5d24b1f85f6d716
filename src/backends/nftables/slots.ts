import { maglevSizeFor, maglevTable } from '../../algorithms/mh-table.ts'
import { wrrSequence } from '../../algorithms/wrr-sequence.ts'
import { assertNever } from '../../model/assert-never.ts'
import type { Target } from '../../model/desired.ts'
import type { Scheduler, Scheduling } from '../../model/scheduling.ts'

/** The LVS schedulers that a map lookup can express: those that need no count of connections. */
export const nftSchedulers = ['random', 'rr', 'wrr', 'sh', 'dh', 'mh'] as const satisfies readonly Scheduler[]
export type NftScheduler = (typeof nftSchedulers)[number]

export const isNftScheduler = (name: Scheduler): name is NftScheduler =>
  (nftSchedulers as readonly Scheduler[]).includes(name)

/** Most slots that weights may unfold to; beyond it they are scaled down. LVS weights go up to 65535. */
const slotLimit = 4096

/** Which target each slot of a virtual server leads to. Empty for no targets. */
export const slotTable = (targets: readonly Target[], { scheduler }: Scheduling): readonly Target[] => {
  if (targets.length === 0) return targets
  const even = targets.every(({ weight }) => weight === targets[0]?.weight)
  const name = isNftScheduler(scheduler) ? scheduler : 'random'
  switch (name) {
    case 'rr':
      return targets
    case 'random':
    case 'sh':
    case 'dh':
      return even ? targets : repeated(targets)
    case 'wrr':
      return even
        ? targets
        : pick(
            targets,
            wrrSequence(
              targets.map(({ weight }) => weight),
              slotLimit,
            ),
          )
    case 'mh':
      return pick(targets, maglevTable(targets, maglevSizeFor(targets.length)))
    default:
      return assertNever(name, 'scheduler')
  }
}

const pick = (targets: readonly Target[], order: Iterable<number>): readonly Target[] => {
  const slots: Target[] = []
  for (const index of order) {
    const target = targets[index]
    if (target !== undefined) slots.push(target)
  }
  return slots
}

/** Each target as many consecutive slots as its weight, in lowest terms; at least one each. */
const repeated = (targets: readonly Target[]): readonly Target[] => {
  const divisor = targets.reduce((acc, { weight }) => gcd(acc, weight), 0)
  const total = targets.reduce((acc, { weight }) => acc + weight, 0) / divisor
  const scale = total > slotLimit ? slotLimit / total : 1
  return targets.flatMap((target) => {
    const share = Math.max(1, Math.round((target.weight / divisor) * scale))
    return Array.from({ length: share }, () => target)
  })
}

const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b))

import type { Target } from '../../model/desired.ts'
import type { Scheduler } from '../../model/scheduling.ts'
import type { Words } from '../rules/rule-words.ts'

/**
 * For each target the match that lets a packet through to it, tried in turn: what is left over goes to the last one,
 * which has no match. `random` gives each target its weight's share. `rr` counts, and knows no weights, as in LVS; a rule's
 * count starts anew when the rule is written anew.
 */
export const pickWords = (scheduler: Scheduler, targets: readonly Target[]): readonly Words[] => {
  const last = targets.length - 1
  if (scheduler === 'rr') return targets.map((_, i) => (i === last ? [] : everyNth(targets.length - i)))
  let left = 0
  for (const { weight } of targets) left += weight
  return targets.map(({ weight }, i) => {
    if (i === last) return []
    const share = weight / left
    left -= weight
    return ['-m', 'statistic', '--mode', 'random', '--probability', probabilityText(share)]
  })
}

const everyNth = (n: number): Words => ['-m', 'statistic', '--mode', 'nth', '--every', String(n), '--packet', '0']

/**
 * Ten decimals, rounded as Go's fmt does it: a tie goes to the even digit, where toFixed goes up. With ten decimals only odd
 * multiples of 1/2048 are ties, and 1/2048 is what 2048 endpoints start with.
 */
export const probabilityText = (probability: number): string => {
  const in2048ths = probability * 2048
  if (!Number.isInteger(in2048ths) || in2048ths % 2 === 0) return probability.toFixed(10)
  const below = Math.floor(probability * 1e10)
  return ((below + (below % 2)) / 1e10).toFixed(10)
}

import { goTo } from '../../kernel/nft/expr.ts'
import { assertNever } from '../../model/assert-never.ts'
import type { HostState } from '../../model/host.ts'
import { recorderRules, recordRule } from './affinity-rules.ts'
import { type ChainClass, className, type SplitClass } from './class.ts'
import { pickRules } from './pick-rules.ts'
import { type ClassRule, head, type Statement } from './rule.ts'
import { fromNode, fromPods, markSource } from './statements.ts'

/** The rules of a class chain, in order. Pure: they follow from the class and the host's settings. */
export const classRules = (chain: ChainClass, host: HostState): readonly ClassRule[] => {
  switch (chain.kind) {
    case 'pick':
      return pickRules(chain, host)
    case 'split':
      return splitRules(chain, host)
    case 'record':
      return [recordRule(host.family, chain.seconds)]
    case 'recorder':
      return recorderRules(host.family)
    default:
      return assertNever(chain, 'chain class')
  }
}

const splitRules = ({ cluster, local }: SplitClass, host: HostState): readonly ClassRule[] => {
  const pods = fromPods(host)
  const toCluster = className(cluster)
  return [
    ...(pods === undefined ? [] : [gotoRule([pods], toCluster)]),
    gotoRule([fromNode, markSource(host)], toCluster),
    ...(local === undefined ? [] : [gotoRule([], className(local))]),
  ]
}

const gotoRule = (before: readonly Statement[], chain: string): ClassRule => ({
  text: [`${head(before)}goto ${chain}`],
  exprs: [...before.flatMap(({ exprs }) => exprs), goTo(chain)],
})

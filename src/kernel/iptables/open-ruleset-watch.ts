import { assertNever } from '../../model/assert-never.ts'
import type { CommitWitness } from './commit-witness.ts'
import { LegacyRulesetWatch } from './legacy-ruleset-watch.ts'
import { NftRulesetWatch } from './nft-ruleset-watch.ts'
import type { RulesetWatch, RulesetWatchOptions } from './ruleset-watch.ts'

/**
 * Watches the filter, nat and mangle tables of this network namespace. Give the result to every `IptablesClient` of the
 * variant as its `witness`, so that our commits are told from those of others. Throws KernelError.
 */
export const openRulesetWatch = (options: RulesetWatchOptions): RulesetWatch & CommitWitness => {
  const { variant } = options
  switch (variant) {
    case 'nft':
      return new NftRulesetWatch(options)
    case 'legacy':
      return new LegacyRulesetWatch(options)
    default:
      return assertNever(variant, 'variant')
  }
}

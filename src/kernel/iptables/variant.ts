import type { Variant } from './iptables.ts'
import type { Saved } from './save-parser.ts'

/** Chains in mangle by which kubelet shows the variant it uses (KEP-3178). */
const hints = ['KUBE-IPTABLES-HINT', 'KUBE-KUBELET-CANARY']

/**
 * The variant that a node already uses: the one with kubelet's hint, else the one with more rules, and on a tie (as on a
 * clean node) nft. This is the rule of the Kubernetes iptables-wrappers.
 */
export const usedVariant = (saved: Readonly<Record<Variant, readonly Saved[]>>): Variant => {
  for (const variant of ['nft', 'legacy'] as const) if (saved[variant].some(hasHint)) return variant
  return countRules(saved.legacy) > countRules(saved.nft) ? 'legacy' : 'nft'
}

const hasHint = ({ tables }: Saved): boolean =>
  tables.some((table) => table.name === 'mangle' && hints.some((hint) => table.chains.has(hint)))

const countRules = (saved: readonly Saved[]): number =>
  saved.flatMap(({ tables }) => tables).reduce((sum, table) => sum + table.rules.length, 0)

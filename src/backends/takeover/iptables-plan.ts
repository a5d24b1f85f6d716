import type { Statement } from '../../kernel/iptables/restore-builder.ts'
import type { SavedRule, SavedTable } from '../../kernel/iptables/save-parser.ts'
import {
  type ChainMode,
  isEntryChain,
  isJumpOfAnotherMode,
  isKubeProxyChain,
  isKubeProxyJump,
  isOfAnotherMode,
  isSharedFirewallRule,
  isWeirChain,
  sharedFirewallChain,
} from '../kube-chains.ts'

/** What of one variant and family goes. */
export interface Scope {
  /** The mode that has this variant and family: its chains stay. */
  readonly inUse: ChainMode | undefined
  /** Kubelet programs this variant and family, too: KUBE-FIREWALL is its. */
  readonly kubelet: boolean
}

/** How to rid one table of kube-proxy and of ourselves. Pure. */
export interface TablePlan {
  readonly statements: readonly Statement[]
  readonly chains: number
  readonly jumps: number
  /** Foreign rules that use kube-proxy's chains. */
  readonly foreignRules: readonly SavedRule[]
  /** The chains that these reach, which therefore stay as they are. */
  readonly keptChains: readonly string[]
}

export const emptyPlan: TablePlan = { statements: [], chains: 0, jumps: 0, foreignRules: [], keptChains: [] }

export const planTable = (table: SavedTable, scope: Scope): TablePlan => {
  const { inUse } = scope
  const ours = new Set([...table.chains.keys()].filter((chain) => isLeftover(table, chain, scope)))
  const users = table.rules.filter(
    ({ chain, target }) => !ours.has(chain) && target !== undefined && ours.has(target.name),
  )
  const hooks = new Set(users.filter((rule) => isHook(table, rule)))
  const foreignRules = users.filter((rule) => !hooks.has(rule))
  const otherJumps =
    inUse === undefined
      ? []
      : table.rules.filter(({ chain, rule }) => !ours.has(chain) && isJumpOfAnotherMode(inUse, rule))
  const jumps = [...hooks, ...otherJumps]
  const kept = reachable(table, ours, foreignRules)
  const removed = [...ours].filter((chain) => !kept.has(chain))
  return {
    // Jumps first, then every rule within the chains, so that no chain is in use when it goes.
    statements: [
      ...jumps.map(({ chain, rule }): Statement => ({ kind: 'delete', chain, rule })),
      ...removed.map((chain): Statement => ({ kind: 'flush', chain })),
      ...removed.map((chain): Statement => ({ kind: 'deleteChain', chain })),
    ],
    chains: removed.length,
    jumps: jumps.length,
    foreignRules,
    keptChains: [...kept],
  }
}

const isLeftover = ({ name, rules }: SavedTable, chain: string, { inUse, kubelet }: Scope): boolean => {
  if (
    inUse === undefined
      ? isKubeProxyChain(name, chain) || isWeirChain(name, chain)
      : isOfAnotherMode(inUse, name, chain)
  )
    return true
  if (inUse === 'iptables' || kubelet || name !== 'filter' || chain !== sharedFirewallChain) return false
  return rules.every((rule) => rule.chain !== chain || isSharedFirewallRule(rule.rule))
}

/**
 * Whether a rule outside these chains is one of their own hooks. In a built-in chain a jump to an entry chain is,
 * whatever it matches, for that differs between releases; elsewhere somebody else wrote it unless it is word for word.
 */
const isHook = ({ chains }: SavedTable, { chain, rule, target }: SavedRule): boolean => {
  if (target?.kind !== 'jump') return false
  const builtIn = chains.get(chain)?.policy !== undefined
  return builtIn ? isEntryChain(target.name) : isKubeProxyJump(rule)
}

const reachable = (table: SavedTable, ours: ReadonlySet<string>, from: readonly SavedRule[]): ReadonlySet<string> => {
  const reached = new Set<string>()
  const targets = (rules: readonly SavedRule[]): string[] =>
    rules.flatMap(({ target }) => (target !== undefined && ours.has(target.name) ? [target.name] : []))
  const queue = targets(from)
  if (queue.length === 0) return reached
  const rulesOf = groupByChain(table.rules)
  for (let chain = queue.pop(); chain !== undefined; chain = queue.pop()) {
    if (reached.has(chain)) continue
    reached.add(chain)
    queue.push(...targets(rulesOf.get(chain) ?? []))
  }
  return reached
}

const groupByChain = (rules: readonly SavedRule[]): ReadonlyMap<string, readonly SavedRule[]> => {
  const groups = new Map<string, SavedRule[]>()
  for (const rule of rules) {
    const group = groups.get(rule.chain)
    if (group === undefined) groups.set(rule.chain, [rule])
    else group.push(rule)
  }
  return groups
}

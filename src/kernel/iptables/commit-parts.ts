import type { Statement, TableChange } from './restore-builder.ts'
import { ruleTarget } from './rule-text.ts'

/** The time that iptables-nft-restore takes for one commit grows with the square of the chains it is to make. */
const mostChains = 500

/**
 * Cuts a change that writes very many chains into several, to be committed one after the other by the same program. Each
 * chain comes whole, with its rules and behind those that its rules lead to, so that at every moment packets meet chains
 * that are complete; whatever else the change does comes last.
 */
export const inParts = (change: TableChange, limit: number = mostChains): readonly TableChange[] => {
  const { table, statements } = change
  const declared = new Map<string, Statement[]>()
  for (const statement of statements) if (statement.kind === 'chain') declared.set(statement.chain, [statement])
  if (declared.size <= limit) return [change]
  const rest: Statement[] = []
  const inOrderOfRules = new Set<string>()
  for (const statement of statements) {
    if (statement.kind === 'chain') continue
    const chain = statement.kind === 'append' ? declared.get(statement.chain) : undefined
    if (chain === undefined) rest.push(statement)
    else {
      chain.push(statement)
      inOrderOfRules.add(statement.chain)
    }
  }
  const parts: TableChange[] = []
  const ordered = targetsFirst(declared, [...inOrderOfRules, ...declared.keys()])
  for (let from = 0; from < ordered.length; from += limit)
    parts.push({ table, statements: togetherOf(declared, ordered.slice(from, from + limit)) })
  return rest.length === 0 ? parts : [...parts, { table, statements: rest }]
}

const targetsFirst = (
  declared: ReadonlyMap<string, readonly Statement[]>,
  chains: Iterable<string>,
): readonly string[] => {
  const ordered = new Set<string>()
  const visit = (chain: string, statements: readonly Statement[]): void => {
    if (ordered.has(chain)) return
    for (const statement of statements) {
      const target = statement.kind === 'append' ? ruleTarget(statement.rule)?.name : undefined
      const next = target === undefined || target === chain ? undefined : declared.get(target)
      if (target !== undefined && next !== undefined) visit(target, next)
    }
    ordered.add(chain)
  }
  for (const chain of chains) visit(chain, declared.get(chain) ?? [])
  return [...ordered]
}

/**
 * All chains before the first rule: by name, because the program keeps them sorted and puts each new one in by walking
 * them. The rules stay in the order of Services: the kernel validates a table by following its jumps, and is a sixth faster
 * when what belongs together lies together in memory.
 */
const togetherOf = (
  declared: ReadonlyMap<string, readonly Statement[]>,
  chains: readonly string[],
): readonly Statement[] => {
  const listOf = (chain: string): readonly Statement[] => declared.get(chain) ?? []
  return [
    ...chains.toSorted().flatMap((chain) => listOf(chain).slice(0, 1)),
    ...chains.flatMap((chain) => listOf(chain).slice(1)),
  ]
}

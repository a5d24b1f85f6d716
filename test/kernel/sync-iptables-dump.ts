import { setTypes } from '../../src/kernel/ipset/ipset.ts'
import { families } from '../../src/model/ip.ts'
import type { RuleKernel } from './sync-iptables-kernel.ts'
import { never } from './sync-rig.ts'

/** Chains in which rules of Services may stand in any order. */
const memberChains = new Set([
  ...['nat KUBE-SERVICES', 'nat KUBE-NODEPORTS', 'nat WEIR-SERVICES', 'nat WEIR-NODEPORTS'],
  ...['filter KUBE-SERVICES', 'filter KUBE-EXTERNAL-SERVICES', 'filter KUBE-NODEPORTS', 'filter KUBE-PROXY-FIREWALL'],
])

/** Every chain of every table as `family table chain`, and every set. */
export interface RulesDump {
  readonly chains: Readonly<Record<string, readonly string[]>>
  readonly sets: Readonly<Record<string, readonly string[]>>
}

/** Rules and sets without what depends on when they were written; the gate to the node ports stays behind the rest. */
export const dumpRules = async ({ iptables, ipset }: RuleKernel): Promise<RulesDump> => {
  const chains: Record<string, readonly string[]> = {}
  for (const family of families) {
    for (const table of (await iptables[family].save(never)).tables) {
      const rules = new Map<string, string[]>([...table.chains.keys()].map((chain) => [chain, []]))
      for (const { chain, rule } of table.rules) rules.get(chain)?.push(rule)
      for (const [chain, list] of rules)
        chains[`${family} ${table.name} ${chain}`] = memberChains.has(`${table.name} ${chain}`) ? unordered(list) : list
    }
  }
  const sets: Record<string, readonly string[]> = {}
  for (const { name, type, family = 'IPv4', entries } of await ipset.list(never)) {
    const known = setTypes.find((each) => each === type)
    const members = known === undefined ? [String(entries)] : await ipset.members({ name, type: known, family }, never)
    sets[`${name} ${type} ${family}`] = [...members].sort()
  }
  return { chains, sets }
}

const unordered = (rules: readonly string[]): readonly string[] => {
  const end = rules.findLastIndex((rule) => !rule.includes('must be the last rule in this chain')) + 1
  return [...rules.slice(0, end).sort(), ...rules.slice(end)]
}

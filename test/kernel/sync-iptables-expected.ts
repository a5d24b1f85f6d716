import { fixedLayout } from '../../src/backends/iptables/fixed.ts'
import { layoutService } from '../../src/backends/iptables/layout.ts'
import type { Entry } from '../../src/backends/iptables/layout-types.ts'
import type { IptablesPlan } from '../../src/backends/iptables/plan.ts'
import { type SetRole, setName } from '../../src/backends/iptables/sets.ts'
import type { IptablesSettings } from '../../src/backends/iptables/settings.ts'
import { DispatchTree } from '../../src/backends/iptables/tree/tree.ts'
import type { FixedChain, FixedTable } from '../../src/backends/rules/fixed-layout.ts'
import type { RuleTable } from '../../src/backends/rules/rule-table.ts'
import { statementLine } from '../../src/kernel/iptables/restore-builder.ts'
import type { ServiceState } from '../../src/model/desired.ts'
import type { HostState } from '../../src/model/host.ts'

/** Rules of the node around those of Services, which may stand in any order. */
interface MemberChain {
  readonly head: readonly string[]
  readonly members: string[]
  readonly tail: readonly string[]
}

/**
 * What a family's tables and sets have to hold, worked out from all states at once: no order of events, no counting of
 * users, no tree that was changed. Keys are `table chain`.
 */
export interface WantedRules {
  readonly chains: ReadonlyMap<string, readonly string[]>
  readonly memberChains: ReadonlyMap<string, MemberChain>
  /** `set member` */
  readonly elements: ReadonlySet<string>
  /** By table, jumps from built-in chains included. */
  readonly rules: Readonly<Record<RuleTable, number>>
}

const filterMembers = ['KUBE-SERVICES', 'KUBE-EXTERNAL-SERVICES', 'KUBE-NODEPORTS', 'KUBE-PROXY-FIREWALL']

export const wantedRules = (
  host: HostState,
  states: readonly ServiceState[],
  settings: IptablesSettings,
): WantedRules => {
  const { family } = settings
  const endpoints = states.reduce((sum, state) => sum + endpointsOf(state), 0)
  const layouts = states.map((state) => layoutService(state, { host, settings, large: endpoints > 1000 }))
  const fixed = fixedLayout(host, settings)
  const chains = new Map<string, readonly string[]>()
  const memberChains = new Map<string, MemberChain>()
  const rules = { mangle: 0, filter: 0, nat: 0 }

  const place = (table: RuleTable, { chains: list, hooks }: FixedTable, own: (name: string) => boolean): void => {
    rules[table] += hooks.length
    for (const { name, head, tail } of list) {
      if (own(name)) memberChains.set(`${table} ${name}`, { head, members: [], tail })
      else chains.set(`${table} ${name}`, [...head, ...tail])
    }
  }
  const roots = settings.ipset ? ['WEIR-SERVICES', 'WEIR-NODEPORTS'] : ['KUBE-SERVICES', 'KUBE-NODEPORTS']
  const flat = settings.dispatch === 'flat'
  place('mangle', fixed.mangle, () => false)
  place('filter', fixed.filter, (name) => filterMembers.includes(name))
  place('nat', fixed.nat, (name) => flat && roots.includes(name))

  const elements = new Set<string>()
  const entries: readonly [Entry[], Entry[]] = [[], []]
  for (const layout of layouts) {
    for (const { name, rules: list } of layout.chains) chains.set(`nat ${name}`, list)
    for (const { chain, rule } of layout.filter) memberChains.get(`filter ${chain}`)?.members.push(rule)
    for (const { set, member } of layout.elements) elements.add(`${setName(set, family)} ${member}`)
    entries[0].push(...layout.services)
    entries[1].push(...layout.nodePorts)
  }
  entries.forEach((list, i) => {
    const root = `nat ${roots[i]}`
    const ruleTexts = list.flatMap((entry) => entry.rules)
    if (flat) memberChains.get(root)?.members.push(...ruleTexts)
    else {
      const shape = { root: roots[i] ?? '', family, kind: i === 0 ? 'address' : 'port' } as const
      const tree = DispatchTree.empty(shape).with(list, [])
      for (const { name, rules: below } of tree.chains()) chains.set(`nat ${name}`, below)
      const { head, tail } = fixed.nat.chains.find(({ name }) => name === roots[i]) ?? empty
      chains.set(root, [...head, ...tree.rootRules(), ...tail])
    }
  })
  for (const [key, list] of chains) rules[tableOf(key)] += list.length
  for (const [key, list] of memberChains) rules[tableOf(key)] += whole(list).length
  return { chains, memberChains, elements, rules }
}

const empty: FixedChain = { name: '', head: [], tail: [] }

const endpointsOf = ({ cluster, local }: ServiceState): number =>
  new Set([...cluster, ...local].map(({ ip, port }) => `${ip} ${port}`)).size

const whole = ({ head, members, tail }: MemberChain): readonly string[] => [...head, ...members, ...tail]

const tableOf = (key: string): RuleTable => {
  const [table] = key.split(' ')
  if (table === 'mangle' || table === 'filter' || table === 'nat') return table
  throw new RangeError(key)
}

/** The fewest lines and members that lead from one to the other, each as `what where`; sorted. */
export const leastChanges = (before: WantedRules, after: WantedRules): readonly string[] => {
  const changes: string[] = []
  for (const [key, rules] of after.chains) {
    const had = before.chains.get(key)
    if (had !== undefined && sameList(had, rules)) continue
    changes.push(`:${key}`, ...rules.map((rule) => `+ ${key} ${rule}`))
  }
  for (const key of before.chains.keys()) if (!after.chains.has(key)) changes.push(`F ${key}`, `X ${key}`)
  for (const [key, chain] of after.memberChains) {
    const had = before.memberChains.get(key) ?? { head: [], members: [], tail: [] }
    // What stands around the rules of Services is exchanged as a whole.
    const around = sameList(had.head, chain.head) && sameList(had.tail, chain.tail)
    const gone = [...difference(had.members, chain.members), ...(around ? [] : [...had.head, ...had.tail])]
    const added = [...difference(chain.members, had.members), ...(around ? [] : [...chain.head, ...chain.tail])]
    changes.push(...gone.map((rule) => `- ${key} ${rule}`), ...added.map((rule) => `+ ${key} ${rule}`))
  }
  for (const element of before.elements) if (!after.elements.has(element)) changes.push(`remove ${element}`)
  for (const element of after.elements) if (!before.elements.has(element)) changes.push(`add ${element}`)
  return changes.sort()
}

/** What a plan writes, in the same words. */
export const plannedChanges = ({ tables, sets }: IptablesPlan, { family }: IptablesSettings): readonly string[] => {
  const changes: string[] = []
  for (const { table, statements } of tables)
    for (const statement of statements) {
      const { kind, chain } = statement
      const key = `${table} ${chain}`
      if (kind === 'append' || kind === 'insert') changes.push(`+ ${key} ${statement.rule}`)
      else if (kind === 'delete') changes.push(`- ${key} ${statement.rule}`)
      else if (kind === 'chain') changes.push(`:${key}`)
      else if (kind === 'flush') changes.push(`F ${key}`)
      else if (kind === 'deleteChain') changes.push(`X ${key}`)
      else changes.push(statementLine(statement))
    }
  const name = (role: SetRole): string => setName(role, family)
  for (const role of sets.create) changes.push(`create ${name(role)}`)
  for (const set of sets.destroy) changes.push(`destroy ${set}`)
  for (const [role, members] of sets.add) for (const member of members) changes.push(`add ${name(role)} ${member}`)
  for (const [role, members] of sets.remove)
    for (const member of members) changes.push(`remove ${name(role)} ${member}`)
  return changes.sort()
}

const sameList = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((each, i) => each === b[i])

/** With repetitions. */
const difference = (a: readonly string[], b: readonly string[]): readonly string[] => {
  const left = new Map<string, number>()
  for (const each of b) left.set(each, (left.get(each) ?? 0) + 1)
  return a.filter((each) => {
    const count = left.get(each) ?? 0
    left.set(each, count - 1)
    return count <= 0
  })
}

import type { Iptables } from '../../kernel/iptables/iptables.ts'
import { IptablesError } from '../../kernel/iptables/iptables-error.ts'
import type { Saved, SavedTable } from '../../kernel/iptables/save-parser.ts'
import type { TableName } from '../../kernel/iptables/table-name.ts'
import { kubeletChains } from '../kube-chains.ts'
import { emptyPlan, planTable, type Scope, type TablePlan } from './iptables-plan.ts'
import { type LeftBehind, type Part, TakeoverError, variantArea } from './report.ts'

export interface IptablesOptions {
  readonly remove: boolean
  readonly inUse: Scope['inUse']
}

/** kube-proxy's and our chains and jumps in one variant and family. Each table is committed by itself. */
export const iptablesLeftovers = async (
  iptables: Iptables,
  { remove, inUse }: IptablesOptions,
  signal: AbortSignal,
): Promise<readonly Part[]> => {
  const area = variantArea(iptables.variant)
  let saved: Saved
  try {
    saved = await iptables.save(signal)
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof IptablesError && error.code === 'missing') return [await withoutTool(iptables, signal)]
    return [{ errors: [new TakeoverError(area, `read ${family(iptables)} tables`, error)] }]
  }
  const parts: Part[] = [{ left: saved.incompatible.map((table) => incompatible(iptables, table)) }]
  const scope: Scope = { inUse, kubelet: hasKubelet(saved) }
  for (const table of saved.tables)
    try {
      const plan = planTable(table, scope)
      const isDirty = remove && plan.statements.length > 0
      const done = isDirty ? await clearTable(iptables, table.name, scope, signal) : plan
      parts.push({ counts: { chains: done.chains, jumps: done.jumps }, left: leftIn(iptables, table, done) })
    } catch (error) {
      signal.throwIfAborted()
      parts.push({ errors: [new TakeoverError(area, `clear ${family(iptables)} table ${table.name}`, error)] })
    }
  return parts
}

/** Where table mangle cannot be read, nothing says that it is not there. */
const hasKubelet = ({ tables, incompatible }: Saved): boolean => {
  const mangle = tables.find(({ name }) => name === 'mangle')
  return incompatible.includes('mangle') || kubeletChains.some((chain) => mangle?.chains.has(chain) === true)
}

/** Rids a table of leftovers in one commit, and returns what that did. */
const clearTable = async (
  iptables: Iptables,
  name: TableName,
  scope: Scope,
  signal: AbortSignal,
): Promise<TablePlan> => {
  for (let attempt = 1; ; attempt++)
    try {
      let plan = emptyPlan
      const decide = (table: SavedTable): TablePlan['statements'] => {
        plan = planTable(table, scope)
        return plan.statements
      }
      await iptables.update(name, decide, signal)
      return plan
    } catch (error) {
      // A rejection may come from a change since the look, but hardly twice.
      const isTransient = error instanceof IptablesError && (error.code === 'locked' || error.code === 'rejected')
      if (!isTransient || attempt === 2) throw error
    }
}

const leftIn = (iptables: Iptables, table: SavedTable, plan: TablePlan): LeftBehind[] => {
  const area = variantArea(iptables.variant)
  const where = `${family(iptables)} ${table.name}`
  return [
    ...plan.foreignRules.map(({ chain, rule, target }) => ({
      area,
      what: `${where}: -A ${chain} ${rule}`,
      why: `a rule that is not kube-proxy's uses ${target?.name}`,
    })),
    ...plan.keptChains.map((chain) => ({ area, what: `${where}: ${chain}`, why: 'foreign rules lead to it' })),
  ]
}

const family = (iptables: Iptables): string => (iptables.family === 'IPv4' ? 'iptables' : 'ip6tables')

const incompatible = (iptables: Iptables, table: string): LeftBehind => ({
  area: variantArea(iptables.variant),
  what: `${family(iptables)} ${table}`,
  why: 'it holds objects that only nft can list',
})

/** The legacy tables can be seen without the tool; what is in them cannot. */
const withoutTool = async (iptables: Iptables, signal: AbortSignal): Promise<Part> => {
  if (iptables.variant === 'nft') return {}
  const area = variantArea(iptables.variant)
  const why = `${family(iptables)}-legacy is not installed`
  try {
    const tables = await iptables.tables(signal)
    return { left: tables.map((table) => ({ area, what: `${family(iptables)} ${table}`, why })) }
  } catch (error) {
    signal.throwIfAborted()
    return { errors: [new TakeoverError(area, `list ${family(iptables)} tables`, error)] }
  }
}

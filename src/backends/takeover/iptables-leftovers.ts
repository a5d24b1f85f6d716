import { setTimeout as sleep } from 'node:timers/promises'
import type { Iptables } from '../../kernel/iptables/iptables.ts'
import { IptablesError } from '../../kernel/iptables/iptables-error.ts'
import type { Statement } from '../../kernel/iptables/restore-builder.ts'
import type { SavedTable } from '../../kernel/iptables/save-parser.ts'
import { emptyPlan, planTable, type TablePlan } from './iptables-plan.ts'
import { type Area, type LeftBehind, type Part, TakeoverError, variantArea } from './report.ts'

/** kube-proxy's chains and jumps in one variant and family. Each table is committed by itself. */
export const iptablesLeftovers = async (iptables: Iptables, remove: boolean, signal: AbortSignal): Promise<Part[]> => {
  const area = variantArea(iptables.variant)
  let tables: readonly SavedTable[]
  const parts: Part[] = []
  try {
    const saved = await iptables.save(signal)
    tables = saved.tables
    parts.push({ left: saved.incompatible.map((table) => incompatible(iptables, table)) })
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof IptablesError && error.code === 'missing') return withoutTool(iptables, signal)
    return [{ errors: [new TakeoverError(area, `read ${family(iptables)} tables`, error)] }]
  }
  for (const table of tables) parts.push(await clearTable(iptables, table, remove, signal))
  return parts
}

const clearTable = async (
  iptables: Iptables,
  table: SavedTable,
  remove: boolean,
  signal: AbortSignal,
): Promise<Part> => {
  let plan = planTable(table)
  if (remove && plan.statements.length > 0)
    try {
      plan = await commit(iptables, table, plan, signal)
    } catch (error) {
      signal.throwIfAborted()
      const op = `clear ${family(iptables)} table ${table.name}`
      return { errors: [new TakeoverError(variantArea(iptables.variant), op, error)] }
    }
  return { counts: { chains: plan.chains, jumps: plan.jumps }, left: leftIn(iptables, table, plan) }
}

/**
 * Every try starts from a fresh look, for whoever held the lock has probably changed something, and for the same reason
 * waits outside iptables-restore: what it is given then is never older than the look.
 */
const commit = async (
  iptables: Iptables,
  table: SavedTable,
  plan: TablePlan,
  signal: AbortSignal,
): Promise<TablePlan> => {
  const giveUpAt = performance.now() + patienceMs
  let current: { readonly table: SavedTable; readonly plan: TablePlan } | undefined = { table, plan }
  let rejected = false
  while (current !== undefined && current.plan.statements.length > 0) {
    const statements = [...policies(iptables, current.table), ...current.plan.statements]
    try {
      await iptables.restore([{ table: table.name, statements }], signal)
      return current.plan
    } catch (error) {
      if (!(error instanceof IptablesError) || !isWorthRetrying(error, rejected) || performance.now() > giveUpAt)
        throw error
      rejected = error.code === 'rejected'
      await sleep(retryMs, undefined, { signal })
    }
    const again = (await iptables.save(signal)).tables.find(({ name }) => name === table.name)
    current = again === undefined ? undefined : { table: again, plan: planTable(again) }
  }
  return current?.plan ?? emptyPlan
}

/** A rejection may come from a change since the look, but hardly twice. */
const isWorthRetrying = ({ code }: IptablesError, rejectedBefore: boolean): boolean =>
  code === 'locked' || (code === 'rejected' && !rejectedBefore)

/** How long others may keep the xtables lock. */
const patienceMs = 10_000
const retryMs = 100

/** A commit of the legacy variant zeroes the counters of policies unless it sets them. */
const policies = ({ variant }: Iptables, { chains }: SavedTable): Statement[] =>
  variant === 'nft'
    ? []
    : [...chains.values()].flatMap(({ name: chain, policy, counters }): Statement[] =>
        policy === undefined ? [] : [{ kind: 'policy', chain, policy, counters }],
      )

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
const withoutTool = async (iptables: Iptables, signal: AbortSignal): Promise<Part[]> => {
  if (iptables.variant !== 'legacy') return []
  const area: Area = 'iptables-legacy'
  const tables = await iptables.tables(signal)
  return [
    {
      left: tables.map((table) => ({
        area,
        what: `${family(iptables)} ${table}`,
        why: `${family(iptables)}-legacy is not installed`,
      })),
    },
  ]
}

/** The tables that rules of ours are in. */
export const ruleTables = ['mangle', 'filter', 'nat'] as const
export type RuleTable = (typeof ruleTables)[number]
export type RuleCounts = Readonly<Record<RuleTable, number>>

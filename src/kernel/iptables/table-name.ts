/** The tables of iptables; no kernel has others. */
export const tableNames = ['raw', 'mangle', 'nat', 'filter', 'security'] as const
export type TableName = (typeof tableNames)[number]

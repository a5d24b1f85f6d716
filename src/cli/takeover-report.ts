import { isClean, type TakeoverReport } from '../backends/takeover/report.ts'

const words = {
  nftTables: 'nftables tables',
  chains: 'iptables chains',
  jumps: 'jumps to them',
  sets: 'ipsets',
  virtualServers: 'IPVS virtual servers',
  devices: 'devices',
} as const satisfies Record<keyof TakeoverReport['counts'], string>

/** Tables of other modes, `ip weir`, that were removed. */
export const describeOwnTables = (tables: readonly string[]): readonly string[] =>
  tables.length === 0 ? [] : [`removed what weir had left: nftables tables ${tables.join(', ')}`]

/**
 * One line about what was removed, and one for each thing that was left on purpose. Chains are called kube-proxy's: in
 * mode iptables ours have the same names and rules.
 */
export const describeTakeover = (report: TakeoverReport): readonly string[] => {
  const lines: string[] = []
  if (!isClean(report)) {
    const parts = Object.entries(report.counts).filter(([, count]) => count > 0)
    const text = parts.map(([kind, count]) => `${count} ${words[kind as keyof typeof words]}`).join(', ')
    lines.push(`removed what kube-proxy had left: ${text}`)
  }
  for (const { area, what, why } of report.left) lines.push(`left alone in ${area}: ${what} (${why})`)
  return lines
}

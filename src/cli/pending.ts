import type { RulesetWatch } from '../kernel/iptables/ruleset-watch.ts'

export const openRulesetWatch = (_options: {
  readonly variant: 'legacy' | 'nft'
  readonly report: (family: 'IPv4' | 'IPv6') => void
}): RulesetWatch => ({
  write: (_family, _bytes, write) => write(),
  compared: () => {},
  untouched: () => false,
  close: () => {},
})

export const openNfacct = () => ({
  supported: async (_signal: AbortSignal) => false,
  ensure: async (_name: string, _signal: AbortSignal) => {},
  read: async (_name: string, _signal: AbortSignal): Promise<{ readonly packets: bigint } | undefined> => undefined,
  close: () => {},
})

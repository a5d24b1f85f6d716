import { Counter, Gauge, type Registry } from 'prom-client'
import type { SyncObserver } from '../../sync/events.ts'
import { alpha } from './help.ts'

/** The tables that kube-proxy counts rules in. */
const tables = ['filter', 'nat'] as const

/** kube-proxy's series about iptables; in mode ipvs only that of failed restores exists. */
export const iptablesMetrics = (
  registry: Registry,
  mode: 'iptables' | 'ipvs',
): Pick<Partial<SyncObserver>, 'applied' | 'failed' | 'elements'> => {
  const registers = [registry]
  const failures = (name: string, help: string): Counter<'ip_family'> =>
    new Counter({ name: `kubeproxy_${name}`, help: alpha(help), labelNames: ['ip_family'], registers })
  const restoreFailures = failures(
    'sync_proxy_rules_iptables_restore_failures_total',
    'Cumulative proxy iptables restore failures',
  )
  if (mode === 'ipvs') return { failed: ({ family: ip_family }) => restoreFailures.inc({ ip_family }) }
  const partialFailures = failures(
    'sync_proxy_rules_iptables_partial_restore_failures_total',
    'Cumulative proxy iptables partial restore failures',
  )
  const rules = (name: string, help: string): Gauge<'table' | 'ip_family'> =>
    new Gauge({ name: `kubeproxy_${name}`, help: alpha(help), labelNames: ['table', 'ip_family'], registers })
  const owned = rules('sync_proxy_rules_iptables_total', 'Total number of iptables rules owned by kube-proxy')
  const written = rules('sync_proxy_rules_iptables_last', 'Number of iptables rules written by kube-proxy in last sync')
  return {
    applied: ({ family: ip_family, rulesWritten }) => {
      if (rulesWritten === undefined) return
      for (const table of tables) written.set({ table, ip_family }, rulesWritten.get(table) ?? 0)
    },
    failed: ({ family: ip_family, kind }) => {
      restoreFailures.inc({ ip_family })
      if (kind === 'partial') partialFailures.inc({ ip_family })
    },
    elements: ({ family: ip_family, counts }) => {
      for (const table of tables) owned.set({ table, ip_family }, counts.get(table) ?? 0)
    },
  }
}

/** What the kernel counts for rules that name an nfacct object. */
export interface RulePackets {
  /** Packets dropped because conntrack calls them INVALID. */
  readonly invalidDropped: bigint | number
  /** Packets to NodePorts on loopback addresses. */
  readonly localhostAccepted: bigint | number
}

/**
 * kube-proxy's two series that are read from nfacct objects when they are scraped. A scrape at which `read` gives
 * nothing shows no sample of them.
 */
export const nfacctMetrics = (registry: Registry, read: () => Promise<RulePackets | undefined>): void => {
  const series = (name: string, help: string, value: (packets: RulePackets) => bigint | number): void => {
    new Counter({
      name: `kubeproxy_${name}`,
      help: alpha(help),
      registers: [registry],
      async collect() {
        const packets = await read().catch(() => undefined)
        this.remove()
        if (packets !== undefined) this.inc(Number(value(packets)))
      },
    })
  }
  series(
    'iptables_ct_state_invalid_dropped_packets_total',
    'packets dropped by iptables to work around conntrack problems',
    ({ invalidDropped }) => invalidDropped,
  )
  series(
    'iptables_localhost_nodeports_accepted_packets_total',
    'Number of packets accepted on nodeports of loopback interface',
    ({ localhostAccepted }) => localhostAccepted,
  )
}

import { connections } from '../iptables/connect.ts'
import { costs } from '../iptables/costs.ts'
import type { Bench } from './section.ts'

/** Mode iptables: first syncs and changes, in both variants, in kube-proxy's layout and with what sets and trees change. */
export const iptablesSection = async (bench: Bench): Promise<void> => {
  for (const variant of bench.options.iptables.variants) await costs(bench, variant)
}

/** Mode iptables: time to open a connection. */
export const iptablesConnectSection = async (bench: Bench): Promise<void> => {
  for (const variant of bench.options.iptables.variants) await connections(bench, variant)
}

import { pino } from 'pino'
import { IptablesBackend } from '../../src/backends/iptables/backend.ts'
import { iptablesSettings } from '../../src/cli/iptables-settings.ts'
import { chooseTools } from '../../src/cli/iptables-tools.ts'
import { prepareIptables, tryNfacct } from '../../src/cli/prepare-iptables.ts'
import { openIpset } from '../../src/kernel/ipset/netlink-ipset.ts'
import type { Variant } from '../../src/kernel/iptables/iptables.ts'
import { IptablesClient } from '../../src/kernel/iptables/iptables-client.ts'
import { openRulesetWatch } from '../../src/kernel/iptables/open-ruleset-watch.ts'
import { BenchNode } from '../proxy/node.ts'
import { type Layout, layoutFlags } from './layouts.ts'
import { TimedIptables } from './timed-iptables.ts'

export interface IptablesNode {
  readonly node: BenchNode
  /** Of IPv4, which is the family that has Services. */
  readonly iptables: TimedIptables
}

/** Mode iptables as src/cli/kernel-iptables.ts wires it, with the time taken between the backend and the tools. */
export const openIptablesNode = async (
  layout: Layout,
  variant: Variant,
  signal: AbortSignal,
): Promise<IptablesNode> => {
  const timed: { iptables?: TimedIptables } = {}
  const node = await BenchNode.create(layoutFlags(layout, variant), async (config, onDrift) => {
    const { tools } = await chooseTools(config.iptables.variant, pino({ level: 'silent' }), signal)
    const families = [...tools.keys()]
    const nfacct = tryNfacct()
    const ipset = openIpset()
    const watch = openRulesetWatch({
      variant,
      families,
      onForeignWrite: (family) => onDrift(family, 'elementsChanged'),
    })
    const { dropInvalid, nfacct: counters } = await prepareIptables(config, { servesIPv4: true, nfacct }, signal)
    const backends = [...tools.values()].map(({ family, program, version, features: { randomFully } }) => {
      const settings = iptablesSettings(config, family, { dropInvalid, randomFully, nfacct: counters, ipset: true })
      const known = version === undefined ? {} : { version }
      const iptables = new TimedIptables(new IptablesClient(variant, family, { program, witness: watch, ...known }))
      if (family === 'IPv4') timed.iptables = iptables
      return new IptablesBackend({ family, settings, iptables, ipset, watch })
    })
    const close = (): void => {
      watch.close()
      ipset.close()
      nfacct?.close()
    }
    return { backends, close }
  })
  const { iptables } = timed
  if (iptables === undefined) throw new Error('IPv4 is not served')
  return { node, iptables }
}

import { pino } from 'pino'
import { IpvsBackend } from '../../src/backends/ipvs/backend.ts'
import { ProblemReports } from '../../src/backends/ipvs/problem-reports.ts'
import { describe } from '../../src/cli/fatal.ts'
import { chooseTools } from '../../src/cli/iptables-tools.ts'
import { ipvsSettings } from '../../src/cli/ipvs-settings.ts'
import { prepareIpvsNode } from '../../src/cli/prepare-ipvs.ts'
import { NetlinkIpset, openNetfilter } from '../../src/kernel/ipset/netlink-ipset.ts'
import { IptablesClient } from '../../src/kernel/iptables/iptables-client.ts'
import { openRulesetWatch } from '../../src/kernel/iptables/open-ruleset-watch.ts'
import { NetlinkIpvs, openGeneric } from '../../src/kernel/ipvs/netlink-ipvs.ts'
import { systemClock } from '../../src/sync/clock.ts'
import { TimedIptables } from '../iptables/timed-iptables.ts'
import { ipvsFlags } from '../proxy/flags.ts'
import { BenchNode } from '../proxy/node.ts'
import { CountedRoute, Traffic } from './traffic.ts'

export interface IpvsNode {
  readonly node: BenchNode
  readonly backends: readonly IpvsBackend[]
  readonly ipvs: NetlinkIpvs
  readonly traffic: Traffic
  /** Of both families. */
  readonly iptables: readonly TimedIptables[]
}

/** Mode ipvs as src/cli/kernel-ipvs.ts wires it, with what goes to the kernel counted. */
export const openIpvsNode = async (signal: AbortSignal): Promise<IpvsNode> => {
  const traffic = new Traffic()
  const ipvs = new NetlinkIpvs({ open: traffic.counting(openGeneric) })
  const ipset = new NetlinkIpset({ open: traffic.counting(openNetfilter) })
  const route = new CountedRoute(traffic)
  const timed: TimedIptables[] = []
  const ours: IpvsBackend[] = []
  const complain = (error: unknown): void => void process.stderr.write(`${describe(error)}\n`)
  const node = await BenchNode.create(ipvsFlags, async (config, onDrift) => {
    const logger = pino({ level: 'silent' })
    await prepareIpvsNode(config, { ipvs, warn: complain }, signal)
    const { variant, tools } = await chooseTools(config.iptables.variant, logger, signal)
    const families = [...tools.keys()]
    const onForeignWrite = (family: (typeof families)[number]): void => onDrift(family, 'elementsChanged')
    const watch = openRulesetWatch({ variant, families, onForeignWrite })
    const problems = new ProblemReports((problem) => complain(JSON.stringify(problem)))
    for (const { family, program, version, features } of tools.values()) {
      const known = version === undefined ? {} : { version }
      const iptables = new TimedIptables(new IptablesClient(variant, family, { program, witness: watch, ...known }))
      timed.push(iptables)
      const settings = ipvsSettings(config, family, features)
      const parts = { family, settings, ipvs, route, ipset, iptables, watch, timers: systemClock, problems }
      ours.push(new IpvsBackend({ ...parts, onDrift, onError: complain }))
    }
    const close = (): void => {
      for (const backend of ours) backend.close()
      watch.close()
      ipset.close()
      ipvs.close()
    }
    return { backends: ours, close }
  })
  return { node, backends: ours, ipvs, traffic, iptables: timed }
}

import { pino } from 'pino'
import { IpvsBackend, type IpvsParts } from '../../src/backends/ipvs/backend.ts'
import type { IpvsPlan } from '../../src/backends/ipvs/plan.ts'
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
import { CountedRoute, type Sent, Traffic } from './traffic.ts'

/**
 * Counts what its applies send; what comes of them later, as drains do, is no part of that. Only of IPv4, the family that has
 * Services: while the other one has its turn, drains of this one are deleted.
 */
class CountedBackend extends IpvsBackend {
  readonly #traffic: Traffic
  readonly #applied: (sent: Sent) => void

  constructor(parts: IpvsParts, traffic: Traffic, applied: (sent: Sent) => void) {
    super(parts)
    this.#traffic = traffic
    this.#applied = applied
  }

  override async apply(plan: IpvsPlan, signal: AbortSignal): Promise<void> {
    const before = this.#traffic.sent
    await super.apply(plan, signal)
    if (this.family === 'IPv4') this.#applied(this.#traffic.since(before))
  }
}

export interface IpvsNode {
  readonly node: BenchNode
  readonly backends: readonly IpvsBackend[]
  readonly ipvs: NetlinkIpvs
  readonly traffic: Traffic
  /** What applies have sent so far. */
  readonly appliedRequests: () => number
  /** Of both families. */
  readonly iptables: readonly TimedIptables[]
}

/** Mode ipvs as src/cli/kernel-ipvs.ts wires it, with what goes to the kernel counted. */
export const openIpvsNode = async (signal: AbortSignal): Promise<IpvsNode> => {
  const traffic = new Traffic()
  let requests = 0
  const applied = (sent: Sent): void => {
    requests += sent.requests
  }
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
      ours.push(new CountedBackend({ ...parts, onDrift, onError: complain }, traffic, applied))
    }
    const close = (): void => {
      for (const backend of ours) backend.close()
      watch.close()
      ipset.close()
      ipvs.close()
    }
    return { backends: ours, close }
  })
  return { node, backends: ours, ipvs, traffic, appliedRequests: () => requests, iptables: timed }
}

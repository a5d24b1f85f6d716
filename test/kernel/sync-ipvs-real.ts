import { IpvsBackend, type IpvsDrift } from '../../src/backends/ipvs/backend.ts'
import { ProblemReports } from '../../src/backends/ipvs/problem-reports.ts'
import type { IpvsSettings } from '../../src/backends/ipvs/settings.ts'
import { openIpset } from '../../src/kernel/ipset/netlink-ipset.ts'
import { IptablesClient } from '../../src/kernel/iptables/iptables-client.ts'
import { openRulesetWatch } from '../../src/kernel/iptables/open-ruleset-watch.ts'
import { NetlinkIpvs } from '../../src/kernel/ipvs/netlink-ipvs.ts'
import { NetlinkRoute } from '../../src/kernel/route/netlink-route.ts'
import { type Family, families } from '../../src/model/ip.ts'
import type { Problem } from '../../src/model/problem.ts'
import { systemClock } from '../../src/sync/clock.ts'
import { Journal, journaled } from './sync-ipvs-kernel.ts'
import { ipvsSettings } from './sync-ipvs-rig.ts'
import { BackendRig } from './sync-rig.ts'

/** One process of mode ipvs on the kernel of this network namespace, with legacy iptables and real time. */
export class RealIpvsRig extends BackendRig<IpvsBackend> {
  readonly journal: Journal
  readonly problems: Problem[]
  readonly drifts: { readonly family: Family; readonly reason: IpvsDrift }[]
  readonly #parts: { close(): void }[]

  constructor(over: Partial<IpvsSettings> = {}) {
    const journal = new Journal()
    const problems: Problem[] = []
    const drifts: { readonly family: Family; readonly reason: IpvsDrift }[] = []
    const distrust = (family: Family, reason: IpvsDrift): void => {
      drifts.push({ family, reason })
      this.loop.distrust(family, reason)
    }
    const watch = openRulesetWatch({
      variant: 'legacy',
      families,
      onForeignWrite: (family) => distrust(family, 'elementsChanged'),
    })
    const ipvs = new NetlinkIpvs()
    const ipset = openIpset()
    const of = (family: Family): IptablesClient => new IptablesClient('legacy', family, { witness: watch })
    const { iptables, ...kernel } = journaled(
      { ipvs, ipset, route: new NetlinkRoute(), iptables: { IPv4: of('IPv4'), IPv6: of('IPv6') } },
      journal,
    )
    const reports = new ProblemReports((problem) => problems.push(problem))
    const backends = families.map(
      (family) =>
        new IpvsBackend({
          ...kernel,
          ...{ family, watch, iptables: iptables[family], settings: ipvsSettings(family, over) },
          ...{ timers: systemClock, problems: reports, onDrift: distrust },
          onError: (error) => console.error(error),
        }),
    )
    const [first, ...rest] = backends
    if (first === undefined) throw new RangeError('no family')
    super([first, ...rest], { syncPeriodMs: 30_000 })
    this.journal = journal
    this.problems = problems
    this.drifts = drifts
    this.#parts = [...backends, watch, ipvs, ipset]
  }

  close(): void {
    for (const part of this.#parts) part.close()
  }
}

import { execFileSync } from 'node:child_process'
import { IpvsBackend, ipvsCapabilities } from '../../src/backends/ipvs/backend.ts'
import { prepareIpvs } from '../../src/backends/ipvs/prepare.ts'
import { ProblemReports } from '../../src/backends/ipvs/problem-reports.ts'
import { type IpvsSettings, ipvsDevice } from '../../src/backends/ipvs/settings.ts'
import { concernsUs } from '../../src/backends/kube-chains.ts'
import { type NetlinkConntrack, openConntrack } from '../../src/kernel/conntrack/netlink-conntrack.ts'
import { openIpset } from '../../src/kernel/ipset/netlink-ipset.ts'
import { IptablesClient } from '../../src/kernel/iptables/iptables-client.ts'
import { openRulesetWatch } from '../../src/kernel/iptables/open-ruleset-watch.ts'
import { NetlinkIpvs } from '../../src/kernel/ipvs/netlink-ipvs.ts'
import { NetlinkRoute } from '../../src/kernel/route/netlink-route.ts'
import { ProcSysctl } from '../../src/kernel/sysctl/proc-sysctl.ts'
import { type Family, families } from '../../src/model/ip.ts'
import { systemClock } from '../../src/sync/clock.ts'
import type { Settings, Traits } from '../flows/flow.ts'
import type { Manifest } from '../flows/objects.ts'
import type { BackendUnderTest } from './backend-under-test.ts'
import { InProcessProxy } from './in-process.ts'

const { signal } = new AbortController()
const variant = 'legacy'

export const ipvsTraits: Traits = {
  ...ipvsCapabilities,
  // The node has the address: what no virtual server takes is the node's own, which refuses it.
  unusedPorts: 'refused',
  unusedClusterIPs: 'routed',
  pings: 'routed',
  externalFromNode: 'refused',
  // External addresses, too.
  unusedExternalPorts: 'refused',
  // IPVS translates behind the rules that know the cluster IP; what the node sends looks alike then, whatever it is for.
  fromNodeUndetected: 'masqueraded',
  // The kernel of guests does not have it.
  lackedScheduler: 'twos',
  rangesWithoutEndpoints: true,
  affinityOf: 'address',
  staleFlows: 'moved',
  olderFlows: 'moved',
  keepsSource: true,
  flowsIn: 'kernel',
}

interface Running {
  readonly proxy: InProcessProxy
  readonly close: () => void
}

/** IPVS in the kernel of a guest, with legacy iptables. */
export class IpvsUnderTest implements BackendUnderTest {
  readonly name = 'ipvs'
  readonly traits = ipvsTraits
  readonly #over: Partial<IpvsSettings>
  #running: Running | undefined

  constructor(over: Partial<IpvsSettings> = {}) {
    this.#over = over
  }

  async start(objects: readonly Manifest[], settings: Settings): Promise<void> {
    await this.stop()
    let proxy: InProcessProxy | undefined
    const { backends, conntrack, close } = await this.#open((family) => void proxy?.distrust(family).catch(() => {}))
    proxy = new InProcessProxy(backends, settings, { flows: conntrack })
    this.#running = { proxy, close }
    await proxy.start(objects)
  }

  async update(objects: readonly Manifest[]): Promise<void> {
    await this.#need().proxy.update(objects)
  }

  /** Everything that others can take away from us. */
  async loseRules(family: Family): Promise<void> {
    execFileSync('ipvsadm', ['-C'])
    execFileSync('ip', ['link', 'del', ipvsDevice])
    const program = `${family === 'IPv4' ? 'iptables' : 'ip6tables'}-${variant}`
    for (const table of ['mangle', 'filter', 'nat'])
      for (const command of ['-F', '-X']) execFileSync(program, ['-w', '5', '-t', table, command])
    execFileSync('ipset', ['flush'])
    for (const one of families) await this.#need().proxy.distrust(one)
  }

  async stop(): Promise<void> {
    const running = this.#running
    this.#running = undefined
    await running?.proxy.stop()
    running?.close()
  }

  async cleanup(): Promise<void> {
    const { backends, close } = await this.#open(() => {})
    for (const backend of backends) await backend.cleanup(signal)
    close()
  }

  async #open(onDrift: (family: Family) => void) {
    const ipvs = new NetlinkIpvs()
    const ipset = openIpset()
    const route = new NetlinkRoute()
    const conntrack: NetlinkConntrack = openConntrack()
    const watch = openRulesetWatch({ variant, families, onForeignWrite: onDrift, concerns: concernsUs })
    await prepareIpvs(
      {
        ...{ ipvs, sysctl: new ProcSysctl(), scheduler: 'rr', strictArp: false },
        ...{ timeouts: { tcp: 0, tcpFin: 0, udp: 0 }, onError: raise },
      },
      signal,
    )
    const problems = new ProblemReports(() => {})
    const backends = families.map((family) => {
      const settings: IpvsSettings = {
        ...{ family, scheduler: 'rr', excludeCidrs: [], drainMs: 0, randomFully: true },
        ...this.#over,
      }
      const iptables = new IptablesClient(variant, family, { witness: watch })
      return new IpvsBackend({
        ...{ family, settings, ipvs, ipset, route, iptables, watch },
        ...{ timers: systemClock, problems, onDrift, onError: console.error },
      })
    })
    const close = (): void => {
      for (const part of [...backends, watch, conntrack, ipset, ipvs]) part.close()
    }
    return { backends, conntrack, close }
  }

  #need(): Running {
    if (this.#running === undefined) throw new TypeError('not started')
    return this.#running
  }
}

const raise = (error: unknown): never => {
  throw error
}
